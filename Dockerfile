# gan-harness with PyTorch's CUDA build, whose wheels bring CUDA along: the host needs its driver alone.
#   docker build -t gan-harness .
#   docker run --gpus all --ipc host -v "$PWD:/work" gan-harness suites --reference-module my_gan --device cuda
FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
COPY . /opt/gan-harness
RUN python -m pip install --no-cache-dir -c /opt/gan-harness/constraints.txt /opt/gan-harness
WORKDIR /work
ENTRYPOINT ["gan-harness"]
