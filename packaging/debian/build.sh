#!/bin/sh
# Builds dist/syncd_VERSION_ARCH.deb from the wheel in dist/ and the locked libraries, for this Debian release's Python.
# Needs dpkg-deb and Debian's python3. Usage: packaging/debian/build.sh PIP, where PIP is a command that runs pip.
set -eu
umask 022
cd "$(dirname "$0")/../.."
pip=$1

wheel=$(ls dist/syncd-*-py3-none-any.whl)
version=$(basename "$wheel" | cut -d- -f2)
arch=$(dpkg --print-architecture)
python=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')

root=build/debian
home=$root/usr/lib/syncd
site=$home/lib/python$python/site-packages
rm -rf "$root"
mkdir -p "$home/bin" "$site"

# A virtual environment with the paths of the installed package: Debian's Python and private copies of the libraries.
ln -s /usr/bin/python3 "$home/bin/python3"
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$python" > "$home/pyvenv.cfg"
install_into() {
    $pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary=:all: \
        --python-version "$python" --target "$site" "$@"
}
install_into --require-hashes --requirement requirements/run.txt
install_into "$wheel"
rm -rf "$site/bin" "$site/share"
# Compile now: the service cannot write to this folder, so each start would compile again.
/usr/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" -p / "$site"

install -D -m 0755 packaging/debian/syncd "$root/usr/bin/syncd"
units=packaging/systemd
install -D -m 0644 -t "$root/lib/systemd/system" $units/syncd.service "$units/syncd@.service"
install -D -m 0644 $units/user/syncd.service "$root/usr/lib/systemd/user/syncd.service"
install -D -m 0644 $units/sysusers.conf "$root/usr/lib/sysusers.d/syncd.conf"
install -D -m 0644 $units/tmpfiles.conf "$root/usr/lib/tmpfiles.d/syncd.conf"
install -D -m 0644 $units/config.yaml "$root/etc/syncd/config.yaml"

share=$root/usr/share
install -D -m 0644 -t "$share/doc/syncd" README.md $units/*.example packaging/prometheus/*.yml config.example.yaml
find docs -name '*.md' -exec install -D -m 0644 '{}' "$share/doc/syncd/{}" \;
install -D -m 0644 LICENSE "$share/doc/syncd/copyright"
gzip -9nc CHANGELOG.md > "$share/doc/syncd/changelog.gz"
cp -R build/share/. "$share"
mv "$share/zsh/site-functions" "$share/zsh/vendor-completions"
gzip -9n "$share/man/man1/syncd.1"

mkdir "$root/DEBIAN"
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@PYTHON@/$python/; s/@NEXT@/$next/" \
    -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f1)/" packaging/debian/control > "$root/DEBIAN/control"
echo /etc/syncd/config.yaml > "$root/DEBIAN/conffiles"
install -m 0755 -t "$root/DEBIAN" packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm

dpkg-deb --root-owner-group -Zzstd -z10 --build "$root" "dist/syncd_${version}_$arch.deb"
