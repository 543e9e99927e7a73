# Completions of jamsock for bash: source <(jamsock completion bash)
# jamsock itself says what may follow; this splits the line, and quotes what was chosen.

_jamsock() {
    local line=${COMP_LINE:0:COMP_POINT} word i
    local -a words=()
    # Bash also splits words at = and :, where no blank stands before the next piece.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -eq 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            words+=("")
        fi
        ((i < COMP_CWORD)) || word=$line
        words[-1]+=$word
        line=${line#"$word"}
    done

    local current=${words[-1]}
    local piece=${COMP_WORDS[COMP_CWORD]}
    local before=${current%"$piece"}
    [[ $current == *"$piece" ]] || before=
    local quote=
    case $piece in
        \'* | \"*) quote=${piece:0:1} ;;
    esac

    local -a plain=()
    for word in "${words[@]:1}"; do
        case $word in
            \'* | \"*) word=${word//[\'\"]/} ;;
            *) word=${word//\\/} ;;
        esac
        plain+=("$word")
    done
    before=${before//\\/}

    COMPREPLY=()
    local candidate
    while IFS= read -r candidate; do
        if [[ $candidate == @files ]]; then
            compopt -o default
            return
        fi
        candidate=${candidate%%$'\t'*}
        candidate=${candidate#"$before"}
        case $quote in
            '') printf -v candidate %q "$candidate" ;;
            \')
                candidate=${candidate//\'/\'\\\'\'}
                # Bash adds no quote behind one.
                [[ $candidate != *\' ]] || candidate=${candidate%\'}
                ;;
            \")
                [[ $candidate != *!* ]] || continue # no quote within "…" keeps it from history
                candidate=${candidate//\\/\\\\}
                candidate=${candidate//\"/\\\"}
                candidate=${candidate//\$/\\\$}
                candidate=${candidate//\`/\\\`}
                [[ $candidate != *\" ]] || candidate+=\"
                ;;
        esac
        COMPREPLY+=("$candidate")
    done < <("${COMP_WORDS[0]}" __complete "${plain[@]}" 2>/dev/null)
}

complete -F _jamsock jamsock
