# Not built where it was written: there was no registry to take the base images from.
# docker build -t baton .                                    Baton and its mock agents
# docker build -t baton --build-arg AGENTS="opencode claude" .   and agents, by the names that `baton install` knows
# docker run -p 127.0.0.1:2468:2468 -e BATON_PASSWORD=… -v baton-data:/data -v "$PWD":/work baton
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM node:22-bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl git python3 python3-pip python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 baton \
 && install --directory --owner baton --group baton --mode 700 /data \
 && install --directory --owner baton --group baton /work
COPY --from=build /src/target/release/baton /usr/local/bin/baton
USER baton
WORKDIR /work
ARG AGENTS=""
ENV BATON_DATA_DIR=/data
# A new volume begins as a copy of this. In an older one: docker exec … baton install NAME
RUN for agent in $AGENTS; do baton install "$agent" || exit 1; done
VOLUME /data
EXPOSE 2468
# 401 is an answer, too: the password is not the health check's.
HEALTHCHECK --interval=30s --timeout=3s CMD curl --silent --output /dev/null http://127.0.0.1:2468/global/health
# Beyond loopback Baton starts with a password only.
ENTRYPOINT ["baton"]
CMD ["serve", "--host", "0.0.0.0"]
