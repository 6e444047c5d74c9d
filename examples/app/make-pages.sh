# make-pages.sh SOURCE TARGET VERSION: one HTML page for each text in SOURCE: its first line is the heading.
set -eu
for text in "$1"/*; do
  name=$(basename "$text")
  heading=$(head -n 1 "$text")
  {
    echo "<!doctype html><title>$TITLE: $heading</title>"
    echo "<h1>$heading</h1>"
    tail -n +2 "$text" | sed 's/.*/<p>&<\/p>/'
    echo "<footer>$3</footer>"
  } > "$2/${name%.*}.html"
  echo "made ${name%.*}.html"
done
