# Completions of jamsock for fish: as jamsock.fish in ~/.config/fish/completions.
# jamsock itself says what may follow; fish quotes what was chosen.

function __jamsock_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string unescape)
    test -n "$current"; or set current ""
    set -l lines ($words[1] __complete $words[2..] $current 2>/dev/null)
    if test "$lines[1]" = @files
        __fish_complete_path (commandline -ct)
        return
    end
    printf '%s\n' $lines
end

complete -c jamsock -f -a '(__jamsock_complete)'
