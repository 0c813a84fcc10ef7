# For the `install` of a client that comes from PyPI: sourced, not run.

# venv_install FOLDER: a virtual environment in FOLDER/.venv with the packages of FOLDER/requirements.txt; nothing
# happens when they are there.
venv_install() {
  local folder=$1
  local stamp="$folder/.venv/.installed-requirements.txt"
  if cmp -s "$folder/requirements.txt" "$stamp"; then return; fi
  if ! python3 -c 'import ensurepip' 2>/dev/null; then
    echo "$folder: python3 or its venv is missing: install Python 3.11 or newer (Debian: python3-venv)" >&2
    return 3
  fi
  python3 -m venv --clear "$folder/.venv"
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$folder/.venv/bin/pip" install --quiet --no-deps --requirement "$folder/requirements.txt"
  cp "$folder/requirements.txt" "$stamp"
}
