# docker build -t inband:0.1.0 .
#
# docker run --rm --network host --user 0 --cap-drop ALL \
#   --cap-add BPF --cap-add NET_ADMIN --cap-add PERFMON --cap-add NET_RAW \
#   -v /etc/inband:/etc/inband:ro -v /sys/fs/bpf:/sys/fs/bpf -v /var/lib/inband:/var/lib/inband \
#   inband:0.1.0 run --config /etc/inband/inband.yaml
#
# Without privileges it replays captures: docker run --rm -i inband:0.1.0 replay - < lb.pcap

FROM node:22-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang gcc libc6-dev libbpf-dev g++ make python3 libpcap-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY native native
# With its assertions compiled in, the package cap ends the process when an interface goes down.
RUN CPPFLAGS=-DNDEBUG npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build \
 && node native/build.mjs --strict \
 && npm prune --omit=dev \
 && chmod +x dist/cli/main.js

FROM node:22-bookworm-slim
ENV NODE_ENV=production
RUN apt-get update \
 && apt-get install -y --no-install-recommends libbpf1 libpcap0.8 \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /run/inband /var/lib/inband \
 && ln -s /opt/inband/dist/cli/main.js /usr/local/bin/inband
WORKDIR /opt/inband
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/build/native build/native
COPY --from=build /src/dist dist
COPY LICENSE ./
USER node
ENTRYPOINT ["inband"]
CMD ["--help"]
