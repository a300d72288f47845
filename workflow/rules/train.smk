rule train:
    """Train one block of replicates of one run."""
    input:
        data=split,
    output:
        run=f"{RESULTS}/runs/{{point}}/block={{block}}/run.json",
        snapshots=f"{RESULTS}/runs/{{point}}/block={{block}}/snapshots.safetensors",
        history=f"{RESULTS}/metrics/history/{{point}}/block={{block}}.parquet",
    log:
        f"{RESULTS}/logs/train/{{point}}/block={{block}}.log",
    threads: STUDY.threads
    resources:
        **limits(cost.training_job),
        gpu=0 if STUDY.device == "cpu" else 1,
        # A resource and not a parameter: Snakemake trains again what has another parameter, and
        # no result depends on how often training saves where it stands.
        checkpoint_minutes=str(STUDY.checkpoint_minutes),
    params:
        code=lambda wildcards: code("train", *recipe(wildcards).modules()),
        spec=run_spec,
        checkpoint=lambda wildcards, output: checkpoint(output.run),
    # With `exec` the shell becomes the training, so that a signal to the job reaches it.
    shell:
        "exec python -m squareloss.train --spec {params.spec:q} --data {input.data:q}"
        " --checkpoint {params.checkpoint:q}"
        " --checkpoint-minutes {resources.checkpoint_minutes}"
        " --run {output.run:q} --snapshots {output.snapshots:q} --history {output.history:q} 2> {log:q}"


# Slurm asks a job to stop this long before its time limit; training then saves where it stands, and
# the next attempt goes on from there.
add_slurm_extra("train", f"'--signal=TERM@{STOP_SECONDS}'")


rule runs:
    """Every trained run of the study."""
    input:
        [
            f"{RESULTS}/runs/{path}/block={block}/run.json"
            for path in RUNS.index
            for block in sweep.blocks(STUDY)
        ],
