"""The paper's statements as tests: one module a section of the paper, and the rule that decides."""

import pkgutil

# Modules below squareloss whose import registers their claims.
SECTIONS = tuple(
    sorted(
        f"claims.{m.name}" for m in pkgutil.iter_modules(__path__) if m.name.startswith("section")
    )
)
