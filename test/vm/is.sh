# Before each of the scripts that run in the machine.
is() { # is WHAT PATTERN COMMAND…: what it prints is as the pattern says, or all ends here
  local got
  got=$("${@:3}" 2>&1)
  # shellcheck disable=SC2053
  if [[ $got == $2 ]]; then
    echo "ok $1"
  else
    printf 'FAILED %s\n wanted: %s\n got:    %s\n' "$1" "$2" "$got"
    exit 1
  fi
}
base() { # an image of busybox, whatever registry can be reached
  mkdir -p ~/base
  cp /usr/bin/busybox ~/base
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox","--install","-s","/bin"]\nCMD ["sh"]\n' >~/base/Dockerfile
  slipway build -q -t busybox ~/base
}
group() { # the directory of a container's control group
  echo "/sys/fs/cgroup$(cut -d: -f3 "/proc/$(slipway inspect -f '{{.State.Pid}}' "$1")/cgroup")"
}
