# Warder with everything that it needs; without WARDER_DATABASE_URL it keeps an embedded Postgres in /data.
# The root file system may be read-only: only /data is written, and /tmp where it is there.
FROM node:24-slim AS packages
WORKDIR /opt/warder
COPY package.json package-lock.json .npmrc ./
# The packages that carry Node are for development; the image has its own.
RUN npm ci --omit=dev && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM node:24-slim
WORKDIR /opt/warder
ENV NODE_ENV=production NODE_COMPILE_CACHE=/opt/warder/.compile-cache
RUN install -d -o node -g node /data /gateway .compile-cache
COPY --from=packages /opt/warder/node_modules ./node_modules
COPY package.json LICENSE ./
COPY migrations ./migrations
COPY policies ./policies
COPY integrations/envoy ./integrations/envoy
COPY integrations/compose ./integrations/compose
COPY integrations/kong ./integrations/kong
COPY src ./src
# The library links that npm packages can't contain: made now, because nothing can be written here later.
RUN node --input-type=module -e "const { findPostgres } = await import('./src/store/postgres-binaries.ts'); await findPostgres(undefined, console.log)"
USER 1000:1000
# Compiles once what would be compiled at each start. Node keeps this cache for each user, so it is filled by the one who runs.
RUN node --input-type=module -e "await import('./src/wire.ts'); await import('./src/cli/welcome.ts'); process.exit()" \
  && node src/main.ts policy check policies/examples/demo
# Decisions and Envoy are for other containers. The administrators' listener has no TLS here and stays on loopback: probes
# run `warder health` inside the container.
ENV WARDER_DATA_DIR=/data \
  WARDER_LISTEN=0.0.0.0:8180 \
  WARDER_EXT_AUTHZ_LISTEN=0.0.0.0:9191 \
  WARDER_ADMIN_LISTEN=127.0.0.1:8181
VOLUME ["/data"]
EXPOSE 8180 9191
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "src/main.ts", "health"]
CMD ["node", "src/main.ts", "serve"]
