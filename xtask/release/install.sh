#!/bin/sh
# Installs Antiphon for the current user; no root needed. `./install.sh --uninstall` removes it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
list="
Antiphon.clap|$HOME/.clap/Antiphon.clap
Antiphon.vst3/Contents/x86_64-linux/Antiphon.so|$HOME/.vst3/Antiphon.vst3/Contents/x86_64-linux/Antiphon.so
antiphon|$HOME/.local/bin/antiphon
antiphon.desktop|$data/applications/antiphon.desktop
icons/antiphon.svg|$data/icons/hicolor/scalable/apps/antiphon.svg
icons/antiphon-48.png|$data/icons/hicolor/48x48/apps/antiphon.png
icons/antiphon-256.png|$data/icons/hicolor/256x256/apps/antiphon.png
"

# Whether a file at a target path is Antiphon's: one of its binaries, icons or menu entries.
ours() {
    case $1 in
        *.png) return 0 ;;
        *.desktop | *.svg) grep -q Antiphon "$1" ;;
        *) grep -q dev.antiphon.antiphon "$1" ;;
    esac
}

each() {
    echo "$list" | while IFS='|' read -r from to; do
        [ -z "$from" ] || "$1" "$from" "$to"
    done
}

look() {
    if [ -e "$2" ] && ! ours "$2"; then
        echo "error: $2 exists and is not Antiphon's; move it away first" >&2
        exit 1
    fi
}

put() {
    mkdir -p "$(dirname "$2")"
    cp "$here/$1" "$2.new"
    if [ "$1" = antiphon.desktop ]; then
        sed "s|^Exec=.*|Exec=\"$HOME/.local/bin/antiphon\"|" "$here/$1" > "$2.new"
    fi
    # Renamed over the old file, so that a host that has it loaded keeps the old one intact.
    mv "$2.new" "$2"
    echo "installed $2"
}

drop() {
    [ -e "$2" ] || return 0
    if ours "$2"; then
        rm "$2"
        echo "removed $2"
    else
        echo "kept $2: it is not Antiphon's"
    fi
}

case ${1:-} in
    "")
        each look
        each put
        echo "Rescan plugins in your host, then look for Antiphon."
        ;;
    --uninstall)
        each drop
        bundle=$HOME/.vst3/Antiphon.vst3
        for folder in "$bundle/Contents/x86_64-linux" "$bundle/Contents" "$bundle"; do
            [ ! -d "$folder" ] || rmdir "$folder" 2>/dev/null || echo "kept $folder: it is not empty"
        done
        ;;
    *)
        echo "Usage: $0 [--uninstall]" >&2
        exit 2
        ;;
esac
