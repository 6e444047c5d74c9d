# As a plain user with a session.
is "a runtime is found" "*crun*" slipway info
is "a step runs" "sha256:*" base
slipway run -d --name lim --network host -u 100 --memory 64m --cpus 0.5 --pids-limit 50 busybox sh -c 'while :; do sleep 1; done'
limits() { (cd "$(group lim)" && cat memory.max cpu.max pids.max | tr '\n' ,); }
is "limits are in force, in a scope of the user's systemd" "67108864,50000 100000,50," limits
is "exec joins" "*/slipway.scope/slipway/*" slipway exec lim cat /proc/self/cgroup
slipway pause lim
is "pause" "*Paused*" slipway ps --format '{{.Status}}'
slipway unpause lim
slipway rm -f lim
# shellcheck disable=SC2016
slipway run --name oom --network host --memory 20m busybox sh -c 'x=a; while :; do x=$x$x; done'
is "want of memory is told" "true 137" slipway inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom
is "what is not handed over is refused by name" "*--cpuset-cpus cannot be applied*" slipway run --rm --network host --cpuset-cpus 0 busybox true
slipway rm oom
