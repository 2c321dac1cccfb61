# Built from a checkout: docker build -t kanca .
# Everything that is installed is locked with its hash in requirements/.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/kanca
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN pip install --require-hashes --only-binary :all: -r requirements/build.txt \
 && /opt/kanca/bin/pip install --require-hashes --only-binary :all: -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m hatchling build -t wheel -d dist \
 && /opt/kanca/bin/pip install --no-index --no-deps dist/*.whl

FROM python:3.13-slim
# A number, so that Kubernetes can see that it is not root. Only /data and /tmp are ever written to.
RUN groupadd --gid 10001 kanca \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin kanca \
 && install --directory --owner=kanca --group=kanca --mode=0700 /data
COPY --from=build /opt/kanca /opt/kanca
ENV PATH=/opt/kanca/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    KANCA_HOST=0.0.0.0 \
    KANCA_PORT=8000 \
    KANCA_DATABASE_URL=sqlite:////data/kanca.db \
    KANCA_LOG_FORMAT=json
WORKDIR /data
VOLUME ["/data"]
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["kanca", "health"]
ENTRYPOINT ["kanca"]
CMD ["serve"]
