package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"vatworkerd/cmd/vatworkerd/internal/screen"
	"vatworkerd/pipeproto"
	"vatworkerd/store"
)

// versionInfo is the document of `version --json`.
type versionInfo struct {
	Version  string        `json:"version"`
	Commit   string        `json:"commit"`
	Modified bool          `json:"modified"`
	Go       string        `json:"go"`
	Protocol int           `json:"protocol"`
	Schema   int           `json:"schema"`
	Engines  []engineBuild `json:"engines"`
}

// engineBuild is an engine that this program finds, with its bundles.
type engineBuild struct {
	Engine           string `json:"engine"` // stock, native, or the path in --engine
	Path             string `json:"path"`
	Version          string `json:"version"`
	SHA256           string `json:"sha256"`
	ImageID          string `json:"imageID"`
	LockdownSHA256   string `json:"lockdownSHA256"`
	SupervisorSHA256 string `json:"supervisorSHA256"`
	Error            string `json:"error,omitempty"` // it is there and cannot be used
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, and the hashes of the engines", Args: noArguments,
		Long: "version tells from which commit the program was built, and with which engines: all that it finds, or\n" +
			"the one in --engine. Vats that began on an engine go on only with one of the same hash.",
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			var err error
			if v.Engines, err = a.engineBuilds(); err != nil {
				return err
			}
			if a.json {
				return a.document(v)
			}
			return v.write(a.stdout, a.palette())
		},
	}
}

// buildVersion is what the Go toolchain stamped into the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Protocol: pipeproto.Version, Schema: store.SchemaVersion()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Commit = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

// engineBuilds are those that there are; with --engine that one must be there.
func (a *app) engineBuilds() ([]engineBuild, error) {
	if a.engine != "" {
		paths, err := a.findEngine()
		if err != nil {
			return nil, err
		}
		return []engineBuild{buildOf(a.engine, paths)}, nil
	}
	builds := []engineBuild{}
	for _, built := range builtEngines() {
		if paths, err := built.find(); err == nil {
			builds = append(builds, buildOf(built.word, paths))
		}
	}
	return builds, nil
}

func buildOf(name string, paths enginePaths) engineBuild {
	image, err := paths.load()
	if err != nil {
		return engineBuild{Engine: name, Path: paths.Engine, Error: err.Error()}
	}
	return engineBuild{
		Engine: name, Path: paths.Engine, Version: image.Engine.Version, SHA256: image.Engine.SHA256, ImageID: image.ID(),
		LockdownSHA256: image.Lockdown.SHA256, SupervisorSHA256: image.Supervisor.SHA256,
	}
}

func (v versionInfo) write(w io.Writer, p screen.Palette) error {
	if _, err := fmt.Fprintln(w, v); err != nil || len(v.Engines) == 0 {
		return err
	}
	fmt.Fprintln(w)
	table := screen.Table{Columns: []screen.Column{{Title: "ENGINE"}, {Title: "SHA256"}, {Title: "IMAGE"}, {Title: "VERSION"}}}
	for _, e := range v.Engines {
		if e.Error != "" {
			table.Add(screen.Cell{Text: e.Engine}, screen.Cell{}, screen.Cell{}, screen.Cell{Text: e.Error, Style: screen.Red})
			continue
		}
		table.Add(screen.Cell{Text: e.Engine}, screen.Cell{Text: e.SHA256}, screen.Cell{Text: short(e.ImageID)}, screen.Cell{Text: e.Version})
	}
	return table.Write(w, p, "")
}

func (v versionInfo) String() string {
	commit := v.Commit
	if commit == "" {
		commit = "unknown"
	}
	if v.Modified {
		commit += " (modified)"
	}
	return fmt.Sprintf("vatworkerd %s, commit %s, %s, pipe protocol %d, schema %d", v.Version, commit, v.Go, v.Protocol, v.Schema)
}
