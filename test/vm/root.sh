# As root of the machine.
is "the runtime makes control groups" "*crun*as is*" slipway info
is "a step runs" "sha256:*" base

slipway run -d --name lim --memory 64m --memory-swap 96m --cpus 0.5 --pids-limit 50 --cpuset-cpus 1 busybox sh -c 'while :; do sleep 1; done'
limits() { (cd "$(group lim)" && cat memory.max memory.swap.max cpu.max pids.max cpuset.cpus | tr '\n' ,); }
is "limits are in force" "67108864,33554432,50000 100000,50,1," limits
systemctl daemon-reload
systemctl set-property --runtime system.slice CPUWeight=150
is "systemd leaves them alone" "67108864,33554432,50000 100000,50,1," limits
is "stats knows the group's memory" "* / 64MiB" slipway stats --no-stream --format '{{.MemUsage}}' lim
slipway update --memory 128m --memory-swap 128m lim
is "update changes them" "134217728,0,50000*" limits
slipway pause lim
is "pause" "*Paused*" slipway ps --format '{{.Status}}'
slipway unpause lim
slipway rm -f lim
is "nothing is left of groups" "" ls -A --ignore '*.*' /sys/fs/cgroup/slipway
# shellcheck disable=SC2016
slipway run --name oom --memory 20m busybox sh -c 'x=a; while :; do x=$x$x; done'
is "want of memory is told" "true 137" slipway inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom
is "what version 2 lacks is refused by name" "*--memory-swappiness cannot be applied*" slipway run --rm --memory-swappiness 10 busybox true
is "so is a processor that is not there" "*Requested CPUs are not available*" slipway run --rm --cpuset-cpus 7 busybox true

slipway network create backend
slipway run -d --name web --network backend -p 8080:80 busybox httpd -f -h /bin
is "a published port answers" "*404*" curl -sI http://127.0.0.1:8080/
is "containers know each other by name" "*404*" slipway run --rm --network backend busybox wget -qO- http://web/
is "the outside can be reached" "*Name:*" slipway run --rm busybox nslookup deb.debian.org

slipway rm -f oom web
slipway run -d --name always --restart always busybox sleep 100000
slipway run -d --name unless --restart unless-stopped -p 8081:80 busybox httpd -f -h /bin
slipway run -d --name stopped --restart unless-stopped busybox sleep 100000
slipway stop -t 0 stopped
slipway run -d --name plain busybox sleep 100000
