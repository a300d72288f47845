rule about:
    # In this process, since a config of thousands of points is too long for a command line.
    """A page beside the results: made of what, by which code, where what lies."""
    output:
        f"{RESULTS}/README.md",
    params:
        code=code("about"),
        config=lambda wildcards: json.dumps(STUDY.model_dump(exclude_unset=True), sort_keys=True),
        made_from=lambda wildcards: sweep.size(STUDY),
    run:
        about.write(output[0], json.loads(params.config), params.made_from)
