#!/bin/sh
# Stands in for the TimescaleDB image's own start: the same variables, Debian's PostgreSQL.
set -e
PATH=/usr/lib/postgresql/15/bin:$PATH
data=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
    mkdir -p /var/run/postgresql
    chown postgres "$data" /var/run/postgresql
    chmod 700 "$data"
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    initdb -D "$data" -U "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" -A scram-sha-256 --locale C.UTF-8
    echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
    pg_ctl -D "$data" -w -o '-c listen_addresses=' start
    PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -D "$data" -w stop
fi
exec "$@" -D "$data" -c 'listen_addresses=*'
