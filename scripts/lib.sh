# shellcheck shell=bash
# What the scripts share. Sourced, never run: `. "$(dirname "$0")/lib.sh"`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/skylapse
export PIP_ROOT_USER_ACTION=ignore # a private folder, whoever asks
uv_pin=0.13.6 # the version that Home Assistant 2026.11 pins

say() { echo "setup: $*" >&2; }
die() {
  echo "setup: $*" >&2
  exit 1
}

# True when $1 is a Python that Home Assistant 2026.11 runs on. Running it counts, not its name: pyenv leaves stubs on PATH.
python_suits() {
  "$1" -c 'import sys, ssl, sqlite3, venv; sys.exit(not (3, 14, 2) <= sys.version_info[:3] < (3, 15))' 2>/dev/null
}

# Runs apt-get with a state of its own below $1, so that nothing of the system's is read or changed but its sources and keys.
private_apt() {
  local state=$1
  shift
  mkdir -p "$state/lists/partial" "$state/archives/partial"
  [ -e "$state/status" ] || : >"$state/status"
  apt-get -qq -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state" -o Dir::Cache::Archives="$state/archives" \
    -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -o Acquire::Languages=none \
    -o Acquire::Check-Valid-Until=false "$@"
}

# The address of this system's Debian mirror: of the apt source that carries the system's own release.
debian_mirror() {
  local ID='' VERSION_CODENAME=''
  # shellcheck disable=SC1091
  . /etc/os-release 2>/dev/null || return 1
  [ "$ID" = debian ] || return 1
  {
    # one line a source: deb [options] address suite components
    sed -nE 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+)[[:space:]]+([^[:space:]]+).*/\2 \3/p' \
      /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true
    # deb822: one paragraph a source
    awk 'BEGIN { RS = "" } {
      uris = suites = ""; skip = 0; n = split($0, line, "\n")
      for (i = 1; i <= n; i++) {
        if (line[i] ~ /^#/) continue
        key = tolower(line[i]); sub(/:.*/, "", key); value = line[i]; sub(/^[^:]*:[ \t]*/, "", value)
        if (key == "uris") uris = value
        if (key == "suites") suites = value
        if (key == "types" && value !~ /(^| )deb( |$)/) skip = 1
        if (key == "enabled" && tolower(value) ~ /^no/) skip = 1
      }
      if (skip) next
      u = split(uris, uri, " "); s = split(suites, suite, " ")
      for (i = 1; i <= u; i++) for (j = 1; j <= s; j++) print uri[i], suite[j]
    }' /etc/apt/sources.list.d/*.sources 2>/dev/null || true
  } | awk -v suite="$VERSION_CODENAME" '$1 ~ /^https?:/ && $2 == suite { print $1; exit }'
}
