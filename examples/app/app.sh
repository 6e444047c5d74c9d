#!/bin/sh
# app show|check|serve
set -eu
case "${1:-show}" in
  show)
    echo "$(id -un) in $(pwd)"
    sed -n 's/.*<title>\(.*\)<\/title>.*/\1/p' pages/*.html
    sed -n 's/<footer>\(.*\)<\/footer>/version \1/p' pages/index.html
    ;;
  check) cd pages && sha256sum -c checksums ;;
  serve) exec httpd -f -p 8080 -h pages ;;
  *) echo "app: no command $1" >&2; exit 64 ;;
esac
