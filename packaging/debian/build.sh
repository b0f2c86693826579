#!/bin/sh
# Builds dist/syncd_VERSION+pyPYTHON_ARCH.deb from the wheel in dist/ and the locked libraries, for the Debian releases
# with that Python: 3.11 in Debian 12, 3.13 in Debian 13; without PYTHON, for that of this machine's /usr/bin/python3.
# Needs dpkg-dev and binutils. Usage: packaging/debian/build.sh PIP [PYTHON], where PIP is a command that runs pip.
set -eu
umask 022
cd "$(dirname "$0")/../.."
pip=$1
python=${2:-$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
next=${python%.*}.$((${python#*.} + 1))

wheel=$(ls dist/syncd-*-py3-none-any.whl)
# dpkg sorts "~" before the end of the version, as pip sorts ".dev" before the release.
version=$(basename "$wheel" | cut -d- -f2 | sed 's/\.dev/~dev/')+py$python
arch=$(dpkg --print-architecture)

root=build/debian
home=$root/usr/lib/syncd
site=$home/lib/python$python/site-packages
rm -rf "$root"
mkdir -p "$home/bin" "$site"

# A virtual environment with the paths of the installed package: Debian's Python and private copies of the libraries.
ln -s ../../../bin/python3 "$home/bin/python3"
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$python" > "$home/pyvenv.cfg"
install_into() {
    $pip install --quiet --disable-pip-version-check --no-compile --no-deps --only-binary=:all: \
        --python-version "$python" --target "$site" "$@"
}
install_into --require-hashes --requirement requirements/run.txt
rm -rf "$site/bin"
install_into "$wheel"
rm -rf "$site/bin" "$site/share"
# Debian's rules for files: libraries are stripped and not executable, and modules are no programs.
find "$site" -name '*.so*' -type f -exec chmod 0644 '{}' + -exec strip --strip-unneeded \
    --remove-section=.comment --remove-section=.note '{}' +
find "$site" -name '*.py' -type f -exec sed -i '1{/^#!/d}' '{}' +

install -D -m 0755 packaging/debian/syncd "$root/usr/bin/syncd"
units=packaging/systemd
install -D -m 0644 -t "$root/usr/lib/systemd/system" $units/syncd.service "$units/syncd@.service" \
    $units/syncd-receiver.service
install -D -m 0644 $units/user/syncd.service "$root/usr/lib/systemd/user/syncd.service"
install -D -m 0644 $units/sysusers.conf "$root/usr/lib/sysusers.d/syncd.conf"
install -D -m 0644 $units/tmpfiles.conf "$root/usr/lib/tmpfiles.d/syncd.conf"
mkdir -p "$root/etc/syncd"
{
    echo "# yaml-language-server: \$schema=file:///usr/share/syncd/config.schema.json"
    cat $units/config.yaml
} > "$root/etc/syncd/config.yaml"

share=$root/usr/share
doc=$share/doc/syncd
install -D -m 0644 -t "$doc" README.md $units/*.example packaging/prometheus/*.yml \
    packaging/proxy/* config.example.yaml
find docs -name '*.md' -exec install -D -m 0644 '{}' "$doc/{}" \;
install -D -m 0644 LICENSE "$doc/copyright"
gzip -9nc CHANGELOG.md > "$doc/CHANGELOG.md.gz"
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$(date -R -u -r CHANGELOG.md)/" packaging/debian/changelog |
    gzip -9n > "$doc/changelog.gz"
install -D -m 0644 packaging/debian/lintian-overrides "$share/lintian/overrides/syncd"
cp -R build/share/. "$share"
mv "$share/zsh/site-functions" "$share/zsh/vendor-completions"
find "$share/man" -type f -exec gzip -9n '{}' +

# The libraries of Debian that the private ones need, with the versions of their symbols.
control=$root/DEBIAN
shlibs=build/debian-shlibs
rm -rf "$shlibs"
mkdir -p "$shlibs/debian" "$control"
printf 'Source: syncd\n\nPackage: syncd\nArchitecture: any\n' > "$shlibs/debian/control"
needed=$(cd "$shlibs" && find "../../$site" -name '*.so*' -type f -printf '-e%p\n' |
    xargs dpkg-shlibdeps -O --ignore-missing-info --warnings=0 $(find "$PWD/../../$site" -name '*.libs' -printf '-l%p ') |
    sed 's/^shlibs:Depends=//')

size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@PYTHON@/$python/; s/@NEXT@/$next/; s/@NEEDED@/$needed/" \
    -e "s/@SIZE@/$size/" packaging/debian/control > "$control/control"
echo /etc/syncd/config.yaml > "$control/conffiles"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$control/md5sums"
install -m 0755 -t "$control" packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm

dpkg-deb --root-owner-group -Zxz --build "$root" "dist/syncd_${version}_$arch.deb"
