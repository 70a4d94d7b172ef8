# varlm with everything that it needs, for docker and podman (docs/deployment.md):
#
#   docker build --tag varlm .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" varlm \
#       --configfile mine.yaml --cores 8
#
# The wheel of torch for Linux computes on processors and, where the container gets GPUs (--gpus
# all), with CUDA. An image without CUDA's libraries is a quarter of the size: build it with
# --build-arg PIP_EXTRA_INDEX_URL=… , PyTorch's index of CPU wheels (pytorch.org, Get started).
FROM python:3.11-slim-bookworm

# git: for a workflow in the container that imports another one from a git host.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

ARG PIP_EXTRA_INDEX_URL=
COPY requirements.lock /opt/varlm/
WORKDIR /opt/varlm
RUN pip install --no-cache-dir --quiet --disable-pip-version-check -r requirements.lock

COPY Snakefile LICENSE README.md /opt/varlm/
COPY config /opt/varlm/config
COPY envs /opt/varlm/envs
COPY profiles /opt/varlm/profiles
COPY resources /opt/varlm/resources
COPY rules /opt/varlm/rules
COPY workflow_scripts /opt/varlm/workflow_scripts
RUN chmod -R a+rX /opt/varlm \
    && python -m compileall -q /opt/varlm/workflow_scripts \
    && printf '#!/bin/sh\nexec python /opt/varlm/workflow_scripts "$@"\n' > /usr/local/bin/varlm \
    && chmod 755 /usr/local/bin/varlm

# Any user may run it, one without a name or a home too: caches go where everybody may write.
ENV HOME=/tmp USER=varlm PYTHONDONTWRITEBYTECODE=1

# The recipe ends only if the parts work: Snakemake, the steps, the bcftools that pysam brings.
RUN snakemake --version && varlm --version \
    && python -c 'import pysam.bcftools, pysam.version as v, torch; print(v.__bcftools_version__, torch.__version__)'

WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/varlm/Snakefile", "--workflow-profile", "/opt/varlm/profiles/default"]
CMD ["--help"]
