#compdef jamsock
# Completions of jamsock for zsh: as the file _jamsock in a directory of $fpath.
# jamsock itself says what may follow; zsh quotes what was chosen.

_jamsock() {
    local line
    local -a lines names abouts
    lines=("${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $lines[1] == @files ]]; then
        local split=${words[(i)--]}
        if ((split >= CURRENT)); then
            _files
            return
        fi
        shift $split words
        ((CURRENT -= split))
        _normal
        return
    fi
    for line in $lines; do
        names+=("${line%%$'\t'*}")
        abouts+=("${line/$'\t'/  -- }")
    done
    compadd -l -d abouts -a names
}

if [[ $funcstack[1] == _jamsock ]]; then
    _jamsock "$@"
else
    compdef _jamsock jamsock
fi
