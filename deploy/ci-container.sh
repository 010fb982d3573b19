#!/usr/bin/env bash
# Builds the image of each service around a static binary that is already there, and runs it as the
# README says to: read-only root, no capabilities, an unprivileged user, one volume.
#
#   deploy/ci-container.sh DIR [SERVICE...]
#
# DIR holds the binaries. The Dockerfile's builder stage is replaced by a folder, so no base image is
# needed and the rest of the file is what is tested. Then, for all services together: healthy, the main
# job through the published ports, SIGTERM ends with exit code 0, and a new container on the same
# volume still has the data.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ $# -ge 1 ]] || { echo "usage: $0 DIR [SERVICE...]" >&2; exit 64; }
binaries=$1
shift
services=("$@")
[[ ${#services[@]} -gt 0 ]] || services=(ranking-service forecast-service)

# The main job: called as `JOB write` before the restart and `JOB read` after it, with the addresses
# (host:port) in ALMANAC_RANKING_ADDR and ALMANAC_FORECAST_ADDR. Exit code 0 is success.
read -r -a job <<<"${ALMANAC_CONTAINER_JOB:-${ALMANAC_PYTHON:-python3} deploy/container_check.py}"

scratch=$(mktemp -d)

# The smaller of a limit of ours and a cap.
at_most() {
  if [[ $1 == unlimited || $1 -gt $2 ]]; then echo "$2"; else echo "$1"; fi
}

# Podman asks for limits above the caller's by default, which a sandbox refuses; and it lowers its own
# process limit to 32768 before it starts anything. Settings of the machine are left alone: storage,
# networks and run state are all below the scratch folder.
configure() {
  local files processes
  files=$(at_most "$(ulimit -Hn)" 1048576)
  processes=$(at_most "$(ulimit -Hu)" 32768)
  cat >"$scratch/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
  export CONTAINERS_CONF=$scratch/containers.conf
  # vfs needs neither overlay mounts nor a device; the images are small.
  printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "$scratch/storage" "$scratch/run" >"$scratch/storage.conf"
  export CONTAINERS_STORAGE_CONF=$scratch/storage.conf
}

# Every call is bounded. Errors of the timer that would run health checks are not shown: there is no
# systemd here, and this script runs them itself. (netavark does not know the level and says so: harmless.)
pod() {
  timeout --kill-after=10 120 podman --log-level fatal \
    --tmpdir "$scratch/tmp" --network-config-dir "$scratch/networks" "$@"
}

fail() {
  echo "container check: $*" >&2
  exit 1
}

cleanup() {
  local code=$?
  if [[ $code -ne 0 ]]; then
    for service in "${services[@]}"; do
      echo "--- log of $service" >&2
      pod logs --tail 60 "$service" >&2 2>/dev/null || true
    done
  fi
  pod rm --force --time 1 --all >/dev/null 2>&1 || true
  rm -rf "$scratch" || true
  exit "$code"
}
trap cleanup EXIT

build_image() {
  local service=$1 stage=$scratch/builder-$1
  [[ -x $binaries/$service ]] || fail "no binary $binaries/$service"
  mkdir -p "$stage/out/data"
  cp "$binaries/$service" "$stage/out/service"
  # The docker format, since the other one has no health check.
  pod build --quiet --format docker --build-arg "SERVICE=$service" \
    --build-context "builder=$stage" --file deploy/Dockerfile --tag "$service" . >/dev/null
  [[ $(pod image inspect --format '{{.User}}' "$service") == 65532:65532 ]] || fail "$service: image user"
  echo "$service: image of $(du -h "$stage/out/service" | cut -f1), $(pod run --rm "$service" --version)"
}

# Starts a container, prints nothing; its address comes from `address`.
start() {
  pod run --detach --name "$1" --read-only --user 65532 --cap-drop all \
    --security-opt no-new-privileges --volume "$1-data:/data" --publish 127.0.0.1::50051 \
    "$1" >/dev/null
}

address() { pod port "$1" 50051/tcp | head -n 1; }

# At most half a minute, since a slow machine is no fault of the service.
await_healthy() {
  local service=$1 attempt
  for ((attempt = 1; attempt <= 60; attempt++)); do
    if pod healthcheck run "$service" >/dev/null 2>&1; then
      echo "$service: healthy after $attempt checks, at $(address "$service")"
      return
    fi
    [[ $(pod inspect --format '{{.State.Running}}' "$service") == true ]] || fail "$service: ended before it was healthy"
    sleep 0.5
  done
  fail "$service: not healthy"
}

run_all() {
  local service
  for service in "${services[@]}"; do start "$service"; done
  for service in "${services[@]}"; do
    await_healthy "$service"
    case $service in
      ranking-service) ALMANAC_RANKING_ADDR=$(address "$service") ;;
      forecast-service) ALMANAC_FORECAST_ADDR=$(address "$service") ;;
    esac
  done
  export ALMANAC_RANKING_ADDR ALMANAC_FORECAST_ADDR
}

stop_all() {
  local service code
  for service in "${services[@]}"; do
    # Podman kills after the time given, which shows as exit code 137.
    pod stop --time 30 "$service" >/dev/null
    code=$(pod inspect --format '{{.State.ExitCode}}' "$service")
    [[ $code == 0 ]] || fail "$service: exit code $code after SIGTERM"
    echo "$service: exit code 0 after SIGTERM"
    pod logs "$service" 2>/dev/null | tail -n 3
    pod rm "$service" >/dev/null
  done
}

configure
for service in "${services[@]}"; do build_image "$service"; done

run_all
timeout --kill-after=10 300 "${job[@]}" write || fail "main job failed"
stop_all

run_all
timeout --kill-after=10 300 "${job[@]}" read || fail "data lost across a restart"
stop_all
echo "container check: ok"
