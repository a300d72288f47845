"""How the point of a run is named in paths: `recipe=cnn6/wd=0.001/.../lr=0.03`, Hive style."""

from squareloss.spec import Point, coordinates

# Key in a path -> field of `Point`, in the order of the folders.
POINT_KEYS = {"recipe": "recipe_name", **{axis.key: name for name, _, axis, _ in coordinates()}}


def path_value(value: str | float) -> str:
    """A value as it stands in a path: the shortest text that reads back as the same number."""
    if isinstance(value, str):
        return value
    text = repr(value)
    return text.removesuffix(".0")


def point_path(point: Point) -> str:
    """The folders of a point, as the workflow names them."""
    fields = point.model_dump()
    return "/".join(f"{key}={path_value(fields[field])}" for key, field in POINT_KEYS.items())
