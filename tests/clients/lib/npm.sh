# For the `install` of a client that comes from npm: sourced, not run.

# npm_install FOLDER: the packages of the folder's lock file; nothing happens when they are there.
npm_install() {
  local folder=$1
  local stamp="$folder/node_modules/.installed-lock.json"
  command -v npm >/dev/null || { echo "$folder: npm is missing: install Node.js 20 or newer with npm" >&2; return 3; }
  # A copy of the lock file beside what it installed tells whether that is still what is wanted.
  if cmp -s "$folder/package-lock.json" "$stamp"; then return; fi
  # Engines are not checked: what wants a newer Node.js is run with the one of tests/agents/packages/node.
  (cd "$folder" && npm_config_ignore_scripts=true npm_config_audit=false npm_config_fund=false \
    npm_config_update_notifier=false npm_config_progress=false npm ci --loglevel=error)
  cp "$folder/package-lock.json" "$stamp"
}
