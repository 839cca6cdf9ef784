"""Completions for bash, zsh and fish from what the programs say of themselves (--describe). Each shell's is one file for all programs."""
import re


def rows(description):
    return [option for option in description["options"] if "heading" not in option]


def operands(description):
    """The words that an argument may be, and whether it may be a file"""
    words = description.get("operands") or [command["name"] for command in description["subcommands"]]
    takes_files = any(command["arguments"] for command in description["subcommands"]) or not words
    return words, bool(description["arguments"]) and takes_files and description["name"] != "psal"


def first_sentence(text):
    return re.split(r"(?<=\w)[.;:](?= |$)", text)[0]


# ---- bash ----

BASH = r'''# Completion for psal's programs, made from their own tables of options.

# _psal_files ENDINGS: folders, and the files that end so ("": any; "/": folders only)
_psal_files() {
    local file ending
    compopt -o filenames 2>/dev/null
    while IFS= read -r file; do
        if [ -d "$file" ] || [ -z "$1" ]; then
            COMPREPLY+=("$file")
            continue
        fi
        for ending in $1; do
            [[ ${file,,} != *"$ending" ]] || COMPREPLY+=("$file")
        done
    done < <(compgen -f -- "$cur")
}

# _psal_value PROGRAM OPTION: the possible values of an option; status 1 if it takes none
_psal_value() {
    local words=
    case $1:$2 in
@VALUES@
        *) return 1 ;;
    esac
    [ -z "$words" ] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_psal_options() {
    case $1 in
@OPTIONS@
    esac
}

# The words that an argument may be, and a / behind them if it may be a file.
_psal_operands() {
    case $1 in
@OPERANDS@
    esac
}

_psal() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]##*/} first=1 word
    COMPREPLY=()
    if [ "$program" = psal ] && [ "$COMP_CWORD" -gt 1 ] && [[ ${COMP_WORDS[1]} != -* ]]; then
        program=psal-${COMP_WORDS[1]} first=2
        [ "$program" != psal-help ] || program=psal
    fi
    if [ "$cur" = = ]; then # --name=
        cur=
    elif [ "$prev" = = ] && [ "$COMP_CWORD" -gt 2 ]; then # --name=begin
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ $prev == -* ]] && _psal_value "$program" "$prev"; then return; fi
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_psal_options "$program")" -- "$cur")
        return
    fi
    for word in $(_psal_operands "$program"); do
        if [ "$word" = / ]; then
            _psal_files ''
        elif [[ $word == "$cur"* ]] && { [ "$program" != psal ] || [ "$COMP_CWORD" = "$first" ]; }; then
            COMPREPLY+=("$word")
        fi
    done
}

complete -F _psal @PROGRAMS@
'''


def bash_quoted(text):
    return "'" + text.replace("'", r"'\''") + "'"


def bash_value(description, option):
    names = [f"--{option['name']}"] + ([f"-{option['short']}"] if option["short"] else []) + (
        [f"--{option['alias']}"] if option["alias"] else [])
    todo = [f"words={bash_quoted(' '.join(option['words']))}"] if option["words"] else []
    if option["files"] is not None:
        todo.append(f"_psal_files {bash_quoted(' '.join(option['files']))}")
    return f"        {' | '.join(description['name'] + ':' + name for name in names)}) {'; '.join(todo) or ':'} ;;"


def bash(descriptions):
    parts = {"VALUES": [], "OPTIONS": [], "OPERANDS": []}
    for name, description in descriptions.items():
        parts["VALUES"] += [bash_value(description, option) for option in rows(description) if option["kind"] != "flag"]
        parts["OPTIONS"].append(f"        {name}) echo '{' '.join('--' + option['name'] for option in rows(description))}' ;;")
        words, takes_files = operands(description)
        parts["OPERANDS"].append(f"        {name}) echo '{' '.join(words + ['/'] * takes_files)}' ;;")
    text = BASH.replace("@PROGRAMS@", " ".join(descriptions))
    for part, found in parts.items():
        text = text.replace(f"@{part}@", "\n".join(found))
    return text


# ---- zsh ----

ZSH = r'''#compdef @PROGRAMS@
# Completion for psal's programs, made from their own tables of options.

# _psal_one_of WORDS [PATTERN]: words, or files if there is a pattern. Called with a space in front, so that nothing is put before them.
_psal_one_of() {
    local -a known=(${=1})
    compadd -a known
    [[ $# -lt 2 ]] || _files -g "$2"
}

_psal_command() {
    case $1 in
@COMMANDS@
    esac
}

_psal() {
    if [[ $service != psal ]]; then
        _psal_command $service
    elif (( CURRENT > 2 )) && [[ $words[2] != help ]]; then
        local service=psal-$words[2]
        shift words
        (( CURRENT-- ))
        _psal_command $service
    else
        local -a commands=(
@LIST@
        )
        [[ $words[2] == help ]] || commands+=('help:show what there is, or the options of one command')
        _describe command commands
        [[ $PREFIX != -* ]] || _psal_command psal
    fi
}

_psal "$@"
'''


def zsh_escaped(text, more=""):
    return re.sub(rf"([\\\[\]:{more}])", r"\\\1", text)


def zsh_files(endings):
    if endings == ["/"]:
        return "_files -/"
    return "_files -g " + '"' + zsh_pattern(endings) + '"' if endings else "_files"


def zsh_pattern(endings):
    return f"*({'|'.join(endings)})(-.)" if endings else "*"


def zsh_value(option):
    words = " ".join(option["words"])
    if option["files"] is None:
        return f"({words})" if words else " "
    return f' _psal_one_of "{words}" "{zsh_pattern(option["files"])}"' if words else zsh_files(option["files"])


def zsh_option(option):
    names = [f"--{option['name']}"] + ([f"-{option['short']}"] if option["short"] else [])
    value = "" if option["kind"] == "flag" else f":{zsh_escaped(option['value'])}:{zsh_value(option)}"
    flag = option["kind"] == "flag"
    specs = []
    for name in names:
        sign = "" if flag else "=" if name.startswith("--") else "+"
        others = "*" if option["repeatable"] else f"({' '.join(names)})" if len(names) > 1 else ""
        specs.append(bash_quoted(f"{others}{name}{sign}[{zsh_escaped(first_sentence(option['help']))}]{value}"))
    return specs


def zsh(descriptions):
    commands, listed = [], []
    for name, description in descriptions.items():
        specs = [spec for option in rows(description) for spec in zsh_option(option)]
        words, takes_files = operands(description)
        if name != "psal" and (words or takes_files):
            specs.append(bash_quoted(f"*:argument:{' _psal_one_of' if words else '_files'}" +
                                     (f' "{" ".join(words)}"' if words else "") + (' "*"' if words and takes_files else "")))
        commands.append(f"        {name}) _arguments -s : \\\n            " + " \\\n            ".join(specs) + " ;;")
    for command in descriptions["psal"]["subcommands"]:
        listed.append("            " + bash_quoted(f"{command['name']}:{zsh_escaped(command['help'])}"))
    return ZSH.replace("@PROGRAMS@", " ".join(descriptions)).replace("@COMMANDS@", "\n".join(commands)).replace("@LIST@", "\n".join(listed))


# ---- fish ----

FISH = r'''# Completion for psal's programs, made from their own tables of options.

# Folders, and the files that end in one of the arguments.
function __psal_files
    set -l token (string replace -r '^--?[a-zA-Z-]+=' '' -- (commandline -ct))
    set -l files (complete -C "__fish_command_without_completions $token")
    string match -r -- '.*/$' $files
    for ending in $argv
        string match -ir -- '.*'(string escape --style=regex -- $ending)'$' $files
    end
end

# psal run ... is completed as psal-run ...
function __psal_of_command
    set -l words (commandline -opc) (commandline -ct)
    complete -C "psal-"(string join ' ' -- (string escape -- $words[2..-2]) $words[-1])
end

function __psal_is_first
    test (count (commandline -opc)) -eq 1
end

function __psal_helps
    set -l words (commandline -opc)
    test (count $words) -eq 2; and test "$words[2]" = help
end

complete -c psal -f
complete -c psal -n 'not __psal_is_first; and not __psal_helps' -f -a '(__psal_of_command)'
'''


def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_option(name, option):
    line = f"complete -c {name}" + (" -n __psal_is_first" if name == "psal" else "") + f" -l {option['name']}"
    line += f" -s {option['short']}" if option["short"] else ""
    if option["kind"] == "flag":
        return f"{line} -f -d {fish_quoted(first_sentence(option['help']))}"
    offers = [" ".join(option["words"])] if option["words"] else []
    anything = option["files"] == []
    if option["files"]:
        offers.append("(__fish_complete_directories)" if option["files"] == ["/"] else f"(__psal_files {' '.join(option['files'])})")
    line += f" -r {'-F' if anything else '-f'}" + (f" -a {fish_quoted(' '.join(offers))}" if offers else "")
    return f"{line} -d {fish_quoted(first_sentence(option['help']))}"


def fish(descriptions):
    out = [FISH]
    for name, description in descriptions.items():
        words, takes_files = operands(description)
        if name == "psal":
            out += [f"complete -c psal -n '__psal_is_first; or __psal_helps' -f -a {command['name']} -d {fish_quoted(command['help'])}"
                    for command in description["subcommands"]]
        else:
            if not takes_files:
                out.append(f"complete -c {name} -f")
            out += [f"complete -c {name} -a {word}" for word in words]
        out += [fish_option(name, option) for option in rows(description)]
    return "\n".join(out) + "\n"
