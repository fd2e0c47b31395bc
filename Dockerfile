# Three images on shared layers: `docker build .` makes the server's, which serves and nothing else;
# `--target sagemaker` makes the one for Amazon SageMaker, which trains as well; `--target application`
# that of the pages. The built-in models are trained in a stage of their own, so that a clean clone is
# enough. Packages come from the locks in requirements/, each by its hash.
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

FROM base AS bare
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* \
           /usr/local/lib/python3*/ensurepip /usr/bin/pip* /usr/lib/python3*/ensurepip \
           /usr/lib/python3/dist-packages/pip* /usr/share/python-wheels

FROM base AS cyclonedx
COPY requirements/sbom.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/sbom && \
    pip --python /opt/sbom install --no-compile --require-hashes --requirement sbom.txt

FROM base AS pages
COPY requirements/application.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv && \
    pip --python /opt/venv install --require-hashes --requirement application.txt
COPY --from=cyclonedx /opt/sbom /opt/sbom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /sbom.cdx.json \
      /opt/venv/bin/python
WORKDIR /app
# Of the server its connections, and what they import.
COPY model_server/__init__.py model_server/errors.py model_server/metrics.py model_server/ports.py \
     model_server/
COPY model_server/formats/__init__.py model_server/formats/media_types.py model_server/formats/
COPY model_server/inference/__init__.py model_server/inference/in_flight.py model_server/inference/
COPY model_server/http model_server/http
COPY application application
RUN python -m compileall -q application model_server

FROM bare AS application
LABEL org.opencontainers.image.title="model-server-application" \
      org.opencontainers.image.description="A web application for people beside a model server" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=pages /opt/venv /opt/venv
COPY --from=pages /app /app
COPY --from=pages /sbom.cdx.json /sbom.cdx.json
WORKDIR /app
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/healthz/ready' % os.environ.get('APPLICATION_PORT', 8000), timeout=2)"]
USER 65532:65532
ENTRYPOINT ["python", "-m", "application"]

# For `strip`.
FROM base AS tools
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends binutils >/dev/null

FROM tools AS packages
COPY requirements/server.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv && \
    pip --python /opt/venv install --no-compile --no-deps --require-hashes --requirement server.txt
# What serving does not import: tests, the Kubernetes client's calls and objects, which are loaded by
# name, ONNX Runtime's converters and the C library that its Python module does not link to. Symbols
# that only a debugger reads, but not of the libraries that wheels bring in a folder of their own.
# Then bytecode, but only of what is imported at a start: the root file system may be read-only.
RUN cd /opt/venv/lib/python3*/site-packages && \
    find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + && \
    find kubernetes/client/api kubernetes/client/models -type f ! -name __init__.py -delete && \
    rm -rf kubernetes/aio onnxruntime/transformers onnxruntime/quantization onnxruntime/tools \
           onnxruntime/capi/libonnxruntime.so* && \
    find . -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} + && \
    PYTHONDONTWRITEBYTECODE= python -c "import kserve.model_server, kserve.protocol.grpc.server, \
joblib, mimeparse, onnxruntime, pandas, pythonjsonlogger.orjson, \
sklearn.compose, sklearn.ensemble, sklearn.linear_model, sklearn.pipeline, uvloop"

FROM packages AS sbom
COPY --from=cyclonedx /opt/sbom /opt/sbom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /sbom.cdx.json \
      /opt/venv/bin/python

# What the training needs besides, in a folder of its own: a layer on top of the server's packages.
# Without tests, ONNX's own backend, sample data and the editing of fonts.
FROM packages AS additions
COPY requirements/training.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    grep --invert-match --line-regexp --fixed-strings --file=server.txt training.txt >added.txt && \
    pip --python /opt/venv install --prefix /opt/training \
      --no-compile --no-deps --require-hashes --requirement added.txt && \
    rm -rf /opt/training/bin /opt/training/share
RUN cd /opt/training/lib/python3*/site-packages && \
    find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + && \
    find fontTools -mindepth 1 -maxdepth 1 -type d ! -name misc -exec rm -rf {} + && \
    rm -rf matplotlib/mpl-data/sample_data onnx/backend && \
    find . -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} +

FROM packages AS training
COPY --from=additions /opt/training /opt/venv

FROM training AS training-sbom
COPY --from=cyclonedx /opt/sbom /opt/sbom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /sbom.cdx.json \
      /opt/venv/bin/python

FROM training AS models
WORKDIR /src
# Only what training reads, so that other edits of the server do not train again.
COPY model_server/__init__.py model_server/errors.py model_server/
COPY model_server/model model_server/model
COPY model_server/packing model_server/packing
COPY training training
RUN python -m training --out /models

FROM bare AS runtime
LABEL org.opencontainers.image.title="model-server" \
      org.opencontainers.image.description="Serves scikit-learn models with KServe: JSON and CSV" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /opt/venv /opt/venv
COPY --from=models /models /models
WORKDIR /app
COPY start.sh /usr/local/bin/start
COPY model_server model_server
ENV MODEL_SERVER_MODELS=/models
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/v2/health/ready' % os.environ.get('MODEL_SERVER_HTTP_PORT', 8080), timeout=2)"]

# For `skaffold dev`: the code can be written, and the server starts again when it is.
FROM runtime AS dev
RUN chown -R 65532:65532 /app
USER 65532:65532
ENTRYPOINT ["watchfiles", "--filter", "python", "python -m model_server", "/app/model_server"]

# As root, whom the platform's folders below /opt/ml belong to.
FROM runtime AS sagemaker
LABEL org.opencontainers.image.title="model-server-sagemaker" \
      org.opencontainers.image.description="Trains and serves scikit-learn models on Amazon SageMaker" \
      com.amazonaws.sagemaker.capabilities.multi-models="true" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"
COPY --from=additions /opt/training /opt/venv
COPY --from=training-sbom /sbom.cdx.json /sbom.cdx.json
COPY training training
ENV MODEL_SERVER_INVOCATIONS=rooms
USER 0:0
ENTRYPOINT ["start"]

FROM runtime AS server
COPY --from=sbom /sbom.cdx.json /sbom.cdx.json
USER 65532:65532
ENTRYPOINT ["start"]
