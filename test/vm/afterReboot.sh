# As root, when the host has started again.
names() { slipway ps -a --format '{{.Names}} {{.State}}' | sort | tr '\n' ,; }
is "what is wanted runs again, the rest does not" "always running,plain exited,stopped exited,unless running," names
is "its port answers" "*404*" curl -sI http://127.0.0.1:8081/
took() { journalctl -b -1 -o cat -u slipway-containers | grep -c Stopped; }
is "containers were ended before the host" 1 took
