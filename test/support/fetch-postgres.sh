#!/usr/bin/env bash
# Puts the server and client programs of another major version of PostgreSQL into a folder, from the
# machine's own mirror of Debian: unpacked there with every library that they need, nothing installed.
# usage: fetch-postgres.sh DIRECTORY MAJOR
set -euo pipefail
directory=$1 major=$2
case $major in
  17) suite=trixie ;;
  18) suite=forky ;;
  *) echo "no release of Debian is known to have PostgreSQL $major" >&2 && exit 2 ;;
esac
[ -x "$directory/lib/postgresql/$major/bin/postgres" ] && exit 0

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 'Component: main' 'Created-By: Packages' | head -n 1)
[ -n "$mirror" ] || { echo "apt knows no mirror of Debian here" >&2 && exit 1; }
mkdir -p "$(dirname "$directory")"
# Beside its place, so that what is killed half-way is not taken for a whole one.
work=$(mktemp -d "$directory.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{lists/partial,archives/partial} "$work/root"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/apt/sources.list"
# With an empty list of what is installed the simulation names all that is needed.
: >"$work/apt/status"
options=(
  -o "Dir::State=$work/apt" -o "Dir::State::status=$work/apt/status" -o "Dir::Cache=$work/apt"
  -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
  -o APT::Sandbox::User=root -o Acquire::Languages=none
)
apt-get -qq "${options[@]}" update
mapfile -t packages < <(
  apt-get "${options[@]}" -y --no-install-recommends -s install "postgresql-$major" "postgresql-client-$major" |
    awk '/^Inst/ { print $2 }' |
    grep -E "^(lib|zlib1g|postgresql-(client-)?$major\$)" |
    grep -vE 'perl|llvm|libz3|libproc2|libtext|libio|libipc|libjson|semanage|sepol|libgdbm|libdb5|debconf'
)
(cd "$work/apt/archives" && apt-get -qq "${options[@]}" download "${packages[@]}")
for package in "$work"/apt/archives/*.deb; do dpkg -x "$package" "$work/root"; done

# Programs find `share` from the end of their own path: lib/postgresql/17/bin has to stay as it is.
whole=$work/whole programs=$work/whole/lib/postgresql/$major
mkdir -p "$whole/lib" "$whole/share/postgresql" "$whole/libraries"
mv "$work/root/usr/lib/postgresql" "$whole/lib/"
mv "$work/root/usr/share/postgresql/$major" "$whole/share/postgresql/"
cp -a "$work"/root/usr/lib/*-linux-gnu/. "$whole/libraries/"
loader=$(basename "$(ls "$whole"/libraries/ld-linux-*.so.* | head -n 1)")
# Without LLVM itself, its provider would end larger queries.
rm -rf "$programs/lib/llvmjit.so" "$programs/lib/bitcode" "$whole/libraries/gconv"
mv "$programs/bin" "$programs/programs" && mkdir "$programs/bin"
for program in "$programs"/programs/*; do
  name=$(basename "$program")
  # By its own loader and libraries; by the name it was called by, from which it finds its neighbours.
  cat >"$programs/bin/$name" <<WRAPPER
#!/bin/sh
root=\${0%/lib/postgresql/*}
exec "\$root/libraries/$loader" --library-path "\$root/libraries" --argv0 "\$0" "\$root/lib/postgresql/$major/programs/$name" "\$@"
WRAPPER
  chmod 755 "$programs/bin/$name"
done
"$programs/bin/postgres" --version >/dev/null
chmod 755 "$whole"
mv "$whole" "$directory"
