FROM node:22-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends clang gcc libc6-dev libbpf-dev g++ make python3 libpcap-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# With its assertions compiled in, the package cap ends the process when an interface goes down.
RUN CPPFLAGS=-DNDEBUG npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY native native
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:22-bookworm-slim
ENV NODE_ENV=production
RUN apt-get update && apt-get install -y --no-install-recommends libbpf1 libpcap0.8 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/inband
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/build build
COPY --from=build /src/dist dist
USER node
ENTRYPOINT ["node", "/opt/inband/dist/cli/main.js"]
CMD ["--help"]
