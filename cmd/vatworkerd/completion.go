package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/watch"
	"vatworkerd/kernelhost"
	"vatworkerd/workerlogs"
)

// completedNames bounds what a shell gets to choose from: more is of no use, and
// a database may have a million vats.
const completedNames = 200

// shells are those that completion writes scripts for.
func shells() []string { return []string{"bash", "zsh", "fish"} }

func (a *app) completionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "completion SHELL", Short: "Print a script that lets a shell complete command lines: bash, zsh or fish",
		Long: "completion prints a script for a shell, which then completes commands, flags, what flags take, and\n" +
			"the names of the vats in --db or VATWORKERD_DB.\n\n" +
			"  bash  source <(vatworkerd completion bash)     in ~/.bashrc; needs the package bash-completion\n" +
			"  zsh   source <(vatworkerd completion zsh)      in ~/.zshrc, after compinit\n" +
			"  fish  vatworkerd completion fish | source      in ~/.config/fish/config.fish",
		ValidArgs: shells(),
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 && slices.Contains(shells(), args[0]) {
			return nil
		}
		return usageError("completion takes a shell: %s", strings.Join(shells(), ", "))
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch root := cmd.Root(); args[0] {
		case "zsh":
			return root.GenZshCompletion(a.stdout)
		case "fish":
			return root.GenFishCompletion(a.stdout, true)
		default:
			return root.GenBashCompletionV2(a.stdout, true)
		}
	}
	return cmd
}

// completeAll tells cobra what the arguments and flags of all commands may be.
func (a *app) completeAll(root *cobra.Command) {
	for flag, words := range flagWords() {
		complete(root, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	complete(root, "db", onlyDirectories)
	complete(root, "cache", onlyDirectories)
	complete(root, "pin", func(_ *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
		return a.vatNames(start), cobra.ShellCompDirectiveNoFileComp
	})
	complete(root, "engine", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return engineWords(), cobra.ShellCompDirectiveDefault // or a path
	})
	a.completeArguments(root)
}

// complete does nothing for flags that a command has not.
func complete(cmd *cobra.Command, flag string, how cobra.CompletionFunc) {
	if cmd.Flags().Lookup(flag) != nil || cmd.PersistentFlags().Lookup(flag) != nil {
		_ = cmd.RegisterFlagCompletionFunc(flag, how) // fails only for unknown and known ones
	}
}

// flagWords are what flags for all commands take, where that is words.
func flagWords() map[string][]string {
	return map[string][]string{
		"cpu":        {"auto", "off"},
		"sandbox":    {"off", "auto", "require"},
		"color":      {"auto", "always", "never"},
		"log-level":  {"trace", "debug", "info", "warn", "error", "off"},
		"look-ahead": {"auto", "off"},
		"early-runs": {"auto", "off"},
		"preload":    {"all", "off"},
		"hulls":      {"off"},
		"max-memory": {"off"},
	}
}

// commandWords are the same for flags of single commands.
func commandWords() map[string]map[string][]string {
	return map[string]map[string][]string{
		"vatworkerd top":    {"sort": watch.Keys(), "state": watch.States()},
		"vatworkerd logs":   {"level": workerlogs.Levels(), "source": workerlogs.Sources()},
		"vatworkerd serve":  {"control": {"off"}},
		"vatworkerd export": {"mode": exportModes()},
	}
}

func engineWords() (words []string) {
	for _, built := range builtEngines() {
		words = append(words, built.word)
	}
	return words
}

// completeArguments does so for a command and those below it. The words of Use
// say what each argument is.
func (a *app) completeArguments(cmd *cobra.Command) {
	for flag, words := range commandWords()[cmd.CommandPath()] {
		complete(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	if cmd.ValidArgs == nil {
		kinds := argumentsOf(cmd)
		cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			return a.argument(kindOf(kinds, len(args)), start)
		}
	}
	for _, sub := range cmd.Commands() {
		a.completeArguments(sub)
	}
}

// argumentsOf gives the words for arguments: of "restart-all [VAT…]" [VAT…].
func argumentsOf(cmd *cobra.Command) []string {
	words := strings.Fields(cmd.Use)[1:]
	if flag := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") }); flag >= 0 {
		words = words[:flag]
	}
	return words
}

// kindOf gives the word for the argument at an index; the last one may repeat.
func kindOf(kinds []string, index int) string {
	if last := len(kinds) - 1; last >= 0 && index > last && strings.Contains(kinds[last], "…") {
		index = last
	}
	if index >= len(kinds) {
		return ""
	}
	return strings.Trim(kinds[index], "[]…")
}

func (a *app) argument(kind, start string) ([]string, cobra.ShellCompDirective) {
	switch kind {
	case "VAT":
		return a.vatNames(start), cobra.ShellCompDirectiveNoFileComp
	case "CONFIG":
		return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
	case "DIR", "A", "B": // of diff
		return nil, cobra.ShellCompDirectiveFilterDirs
	case "FILE":
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func onlyDirectories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// vatNames reads names beside whoever has the database. Whatever is wrong, a
// shell that completes a line is not the place to say it. Names that a shell
// would take apart, or a terminal obey, are left out.
func (a *app) vatNames(start string) []string {
	a.fromEnvironment()
	if a.db == "" {
		return nil
	}
	path, err := filepath.Abs(filepath.Join(a.path(a.db), kernelhost.DatabaseFile))
	if err != nil {
		return nil
	}
	names, _ := kernelhost.VatNamesBeside(path, start, completedNames)
	return slices.DeleteFunc(names, func(name string) bool { return !isPlainWord(name) })
}

// isPlainWord tells what a shell takes as it stands.
func isPlainWord(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:@%+/"
	return name != "" && strings.Trim(name, plain) == ""
}
