# For the `install` of a client that is driven in a browser: sourced, not run.

# chromium_install CLIENT: Debian's Chromium; nothing happens when it is there.
# The version is Debian's: a browser from a year ago is what nobody should run, and the tests need no certain one.
chromium_install() {
  command -v chromium >/dev/null && return
  echo "tests/clients/$1: installing chromium (once)"
  local sudo=()
  ((EUID == 0)) || sudo=(sudo --non-interactive)
  export DEBIAN_FRONTEND=noninteractive
  { "${sudo[@]}" apt-get update -qq && "${sudo[@]}" apt-get install -qq --yes --no-install-recommends chromium; } >/dev/null ||
    { echo "tests/clients/$1: chromium cannot be installed: is this Debian, with root's apt-get?" >&2; return 1; }
}
