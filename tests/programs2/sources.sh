#!/bin/sh
# Put the sources of installed Debian packages into a folder: sources.sh FOLDER BINARY...
#
# Each package's sources, in the version that is installed (or the mirrors' own, if they have that no more), go to
# FOLDER/BINARY. The mirrors are those of
# the machine's own configuration; its lists of sources are read into FOLDER, the machine's stay as they are.
set -eu
folder=$1
shift
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    awk '!seen[$0]++ { print "deb-src " $0 }' >"$folder/apt/sources.list"
[ -s "$folder/apt/sources.list" ] || { echo "apt knows no mirror; apt-get update?" >&2; exit 1; }
apt() {
    apt-get -q -o Dir::Etc::SourceList="$folder/apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$folder/apt/lists" -o Dir::Cache="$folder/apt" "$@"
}
apt update
cd "$folder"
for binary in "$@"; do
    of=$(dpkg-query -W -f '${source:Package}=${source:Version}' "$binary")
    rm -rf "$binary" "$binary.new"
    mkdir "$binary.new"
    (cd "$binary.new" && { apt source --only-source "$of" || apt source --only-source "${of%%=*}"; } && mv ./*/ ../"$binary")
    rm -rf "$binary.new"
done
