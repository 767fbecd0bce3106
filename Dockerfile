# Stylefolder for a NAS or a server without a desktop: see docs/nas.md.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# The address of PyTorch's wheels for CPUs, or for one version of CUDA. Empty: PyTorch's default, which has CUDA and is large.
ARG TORCH_INDEX=
# A requirement such as torch==2.13.0. Empty: the newest.
ARG TORCH=torch
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/stylefolder \
    && /opt/stylefolder/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH" torchvision
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY stylecore stylecore
COPY daemon daemon
COPY plugin_gimp plugin_gimp
COPY presets presets
# What painting never needs is half of the rest: headers and tests of PyTorch, and pip.
RUN /opt/stylefolder/bin/pip install --no-cache-dir '.[cluster,listen,raw]' \
    && cd /opt/stylefolder/lib/python3*/site-packages \
    && rm -rf torch/include torch/test torch/share torch/bin/protoc* pip pip-*.dist-info \
    && find . -name tests -path '*/tests' -prune -exec rm -rf {} +

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/stylefolder /opt/stylefolder
COPY container/start /usr/local/bin/start
# All that is written outside the Root: settings, certificate and state in /config, weights and compiled code in /cache.
ENV PATH=/opt/stylefolder/bin:$PATH HOME=/config XDG_CONFIG_HOME=/config XDG_STATE_HOME=/config/state \
    XDG_DATA_HOME=/config/data XDG_CACHE_HOME=/cache TORCH_HOME=/cache/torch PYTHONUNBUFFERED=1
VOLUME ["/photos", "/config", "/cache"]
EXPOSE 8787
ENTRYPOINT ["start"]
CMD ["watch", "/photos", "--plain", "--listen", "0.0.0.0:8787"]
