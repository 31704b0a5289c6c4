# Debian's own Python instead of the python image: the final image then has no pip, and every step can be taken in a
# plain Debian folder (`make image-check`), without a container engine.
FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /build
COPY constraints.txt ./
RUN python3 -m venv tools \
 && tools/bin/pip install --no-cache-dir --constraint constraints.txt hatchling
COPY pyproject.toml README.md LICENSE ./
COPY proxy ./proxy
COPY protocol ./protocol
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels .
RUN python3 -m venv --without-pip /opt/rds-iam-proxy \
 && tools/bin/pip --python /opt/rds-iam-proxy/bin/python install --no-cache-dir --constraint constraints.txt "$(echo wheels/*.whl)[fleet]"

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin rds-iam-proxy
COPY --from=build /opt/rds-iam-proxy /opt/rds-iam-proxy
ENV PATH=/opt/rds-iam-proxy/bin:/usr/local/bin:/usr/bin:/bin
ENV HOME=/home/rds-iam-proxy
ENV PYTHONUNBUFFERED=1
# For `serve`, which listens there, and for HEALTHCHECK and `rds-iam-proxy status`, which ask there.
ENV RDS_IAM_PROXY_ADMIN=127.0.0.1:9090
WORKDIR /home/rds-iam-proxy
USER 10001:10001
# No EXPOSE: listeners are on loopback unless flags say otherwise, and then a published port would reach nothing.
# Healthy: it listens, and the last login at every target worked. Asks the proxy only; nothing is dialled.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
  CMD ["rds-iam-proxy", "wait", "--timeout", "3"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["rds-iam-proxy"]
CMD ["--help"]
