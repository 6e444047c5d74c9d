# As root: an image that has not reached the disk when the power fails.
slipway rm -f always unless stopped plain
mkdir -p ~/lost
# shellcheck disable=SC2016
printf 'FROM busybox\nRUN mkdir /many && for i in $(seq 300); do echo $i >/many/$i; done\nCMD ["sh","-c","cat /many/* | wc -l"]\n' >~/lost/Dockerfile
slipway build -q -t lost ~/lost
