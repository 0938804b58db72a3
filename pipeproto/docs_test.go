package pipeproto

import (
	"flag"
	"fmt"
	"go/ast"
	"os"
	"reflect"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of docs/protocol.md anew from their sources")

const (
	docPath  = "../docs/protocol.md"
	docBegin = "<!-- tables: begin; made by `go test ./pipeproto -run TestDocs -rewrite` -->\n"
	docEnd   = "<!-- tables: end -->\n"
)

// TestDocs keeps the tables of docs/protocol.md equal to messageFiles.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), docBegin)
	have, tail, ok2 := strings.Cut(rest, docEnd)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks around its tables", docPath)
	}
	want := tables(t, readSource(t))
	if have == want {
		return
	}
	if !*rewrite {
		t.Fatalf("the tables of %s are not those of the sources; run: go test ./pipeproto -run TestDocs -rewrite", docPath)
	}
	if err := os.WriteFile(docPath, []byte(head+docBegin+want+docEnd+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

func titles() []string {
	return []string{
		"Requests of the kernel host to vatworkerd",
		"Requests of vatworkerd to the kernel host (callbacks)",
		"Events of vatworkerd to the kernel host",
		"Requests of vatworkerd to a native worker",
		"Requests of a native worker to vatworkerd (callbacks)",
		"Events of a native worker",
		"Requests to the control socket of vatworkerd",
		"Requests to the control socket of a kernel host that stays",
		"Events of vatworkerd to those on its control socket",
		"Events of a kernel host that stays",
	}
}

func tables(t *testing.T, src *source) string {
	var out strings.Builder
	if src.groups != len(titles()) {
		t.Fatalf("%d groups of messages, but %d titles", src.groups, len(titles()))
	}
	for group, title := range titles() {
		fmt.Fprintf(&out, "\n### %s\n\n| type | body | reply | remarks |\n|---|---|---|---|\n", title)
		for _, m := range src.messages {
			if m.group == group {
				fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", m.name, link(m.body), link(m.reply), cell(m.remark))
			}
		}
	}
	out.WriteString("\n### Bodies\n\nA body is a map with these keys. Where a default is not said, a missing key or nil reads as zero, empty or false.\n")
	for _, name := range src.order {
		fmt.Fprintf(&out, "\n#### %s\n\n%s\n", name, src.docs[name])
		if fields := src.structs[name].Fields.List; len(fields) > 0 {
			out.WriteString("\n| key | type | remarks |\n|---|---|---|\n")
			for _, f := range fields {
				writeField(t, &out, f)
			}
		}
	}
	out.WriteString("\n")
	return out.String()
}

func writeField(t *testing.T, out *strings.Builder, f *ast.Field) {
	t.Helper()
	if len(f.Names) == 0 {
		fmt.Fprintf(out, "| all keys of %s | | lie flat in this map |\n", link(typeName(f.Type)))
		return
	}
	key := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("msgpack")
	remark := strings.TrimSpace(oneLine(f.Doc.Text()) + " " + oneLine(f.Comment.Text()))
	fmt.Fprintf(out, "| `%s` | %s | %s |\n", key, wireType(t, f.Type), cell(remark))
}

// wireType says a field's type in words of msgpack.
func wireType(t *testing.T, e ast.Expr) string {
	t.Helper()
	switch e := e.(type) {
	case *ast.StarExpr:
		return wireType(t, e.X) + " or nil"
	case *ast.ArrayType:
		if typeName(e.Elt) == "byte" {
			return "binary"
		}
		return "array of " + wireType(t, e.Elt)
	case *ast.Ident:
		switch e.Name {
		case "string", "bool":
			return e.Name
		case "int", "int64":
			return "int64"
		case "uint8":
			return "uint8"
		}
		return link(e.Name)
	}
	t.Fatalf("no words for a %T", e)
	return ""
}

func typeName(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func link(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// The example in the docs is what this end really sends.
func TestDocsExample(t *testing.T) {
	text, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := newEncoder().frame(envelope{kind: kindRequest, id: 1, msgType: ReqVat}, &VatRef{VatID: "v1"}, MinFrameBytes)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x", frame)
	for line := range strings.Lines(string(text)) {
		if strings.ReplaceAll(strings.TrimSpace(line), " ", "") == want {
			return
		}
	}
	t.Errorf("%s lacks the frame %s", docPath, want)
}
