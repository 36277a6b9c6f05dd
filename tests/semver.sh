#!/usr/bin/env bash
# What has changed for those who use the crate, since the last version, and whether the version number says so: tests/semver.sh
# By cargo-semver-checks (cargo install cargo-semver-checks --locked). The last version is the newest tag that says v1.2.3, or the commit
# that is named: tests/semver.sh HEAD~1. docs/semver.md has what counts as breaking beyond what a machine sees.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: changes since the last version: $1" >&2; exit 0; }
cargo semver-checks --version >/dev/null 2>&1 || skip "there is no cargo-semver-checks"
baseline=${1:-$(git tag --list 'v[0-9]*' --sort=-v:refname | head -n 1)}
[ -n "$baseline" ] || skip "there is no version yet: no tag says v1.2.3"
exec cargo semver-checks check-release --package annulus --baseline-rev "$baseline" --all-features
