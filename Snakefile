# The workflow is in workflow/, where the catalogue of Snakemake workflows looks for it.
include: "workflow/Snakefile"


workflow.default_target = "all"  # an included file does not choose it
