package crashpoint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTableIsTheCode reads every Go file of the module: a point of the table is
// passed by exactly one call in the one function it names, and every call in the
// code passes a point of the table.
func TestTableIsTheCode(t *testing.T) {
	names := constants(t)
	table := map[Name]Point{}
	for _, p := range All() {
		if _, twice := table[p.Name]; twice {
			t.Errorf("%s is in the table twice", p.Name)
		}
		table[p.Name] = p
		if room, _, _ := strings.Cut(p.In, "."); !strings.HasPrefix(string(p.Name), room+".") || p.What == "" {
			t.Errorf("%s: its name must begin with its room, %s, and it must say what has happened", p.Name, room)
		}
	}
	passed := map[Name][]string{}
	for _, c := range calls(t) {
		name, ok := names[c.constant]
		if !ok {
			t.Errorf("%s passes %s, which is no point of this package", c.in, c.constant)
		}
		passed[name] = append(passed[name], c.in)
	}
	for constant, name := range names {
		p, ok := table[name]
		if !ok {
			t.Errorf("%s (%q) is not in the table", constant, name)
		}
		if where := passed[name]; len(where) != 1 || where[0] != p.In {
			t.Errorf("%s must be passed once, in %s; it is in %q", name, p.In, where)
		}
	}
	if len(names) != len(table) {
		t.Errorf("%d constants, %d points", len(names), len(table))
	}
	t.Logf("%d points", len(table))
}

// constants gives the values of this package's constants of type Name.
func constants(t *testing.T) map[string]Name {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Name{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found[spec.Names[0].Name] = Name(value)
		return false
	})
	return found
}

// call is one call of Here.
type call struct{ in, constant string }

// calls finds every call of Here in the module, tests apart.
func calls(t *testing.T) []call {
	t.Helper()
	var found []call
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "build" || name == "testdata" || name == "node_modules" || path != "../.." && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			found = append(found, callsIn(t, path)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func callsIn(t *testing.T, path string) []call {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	room, err := filepath.Rel("../..", filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var found []call
	for _, decl := range file.Decls {
		in := fmt.Sprintf("%s (outside of functions)", path)
		if f, ok := decl.(*ast.FuncDecl); ok {
			in = room + "." + receiver(f) + f.Name.Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if e, ok := n.(*ast.CallExpr); ok && isHere(e.Fun) {
				found = append(found, call{in: in, constant: constantOf(e)})
			}
			return true
		})
	}
	return found
}

func isHere(fun ast.Expr) bool {
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Here" {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "crashpoint"
}

// constantOf gives the name of the constant a call passes, "" for anything else.
func constantOf(e *ast.CallExpr) string {
	if len(e.Args) != 1 {
		return ""
	}
	sel, ok := e.Args[0].(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	return sel.Sel.Name
}

// receiver gives "Type." for a method.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	expr := f.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if id, ok := expr.(*ast.Ident); ok {
		return id.Name + "."
	}
	return "?."
}
