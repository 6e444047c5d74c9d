# As root: whatever is still recorded is whole, and what is not can be had again.
database() { slipway system df >/dev/null && slipway images -q busybox | wc -l; }
is "the records can be read, and what was settled is there" "*1" database
recorded() { slipway images -q lost | grep -q . || slipway build -q -t lost ~/lost >/dev/null; slipway run --rm lost; }
is "the image is whole, or is made again" "*300" recorded
