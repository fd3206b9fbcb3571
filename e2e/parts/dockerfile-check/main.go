// BuildKit's own reading of a Dockerfile, as docker buildx has it made: for each platform that is built for, a line for each image that a stage
// begins with and, as `docker buildx build --check` prints them, a line for each warning. No image is fetched: each is taken to be empty.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// bases answers for every image that is asked for with an empty configuration, and says for which platform it was asked.
type bases struct{ target string }

func (b bases) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := *opt.ImageOpt.Platform
	fmt.Printf("%s: from %s for %s\n", b.target, ref, platforms.Format(platform))
	config, err := json.Marshal(v1.Image{Platform: platform})
	return ref, digest.FromBytes(config), config, err
}

func main() {
	argument := flag.String("build-arg", "", "NAME=VALUE")
	from := flag.String("build-platform", "linux/amd64", "where it is built")
	targets := flag.String("platforms", "linux/amd64,linux/arm64", "what it is built for")
	flag.Parse()
	text, err := os.ReadFile(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	name, value, _ := strings.Cut(*argument, "=")
	for _, target := range strings.Split(*targets, ",") {
		platform := platforms.MustParse(target)
		_, err := dockerfile2llb.Dockerfile2LLB(context.Background(), text, dockerfile2llb.ConvertOpt{
			Config:         dockerui.Config{BuildArgs: map[string]string{name: value}, BuildPlatforms: []v1.Platform{platforms.MustParse(*from)}},
			TargetPlatform: &platform,
			MetaResolver:   bases{target},
			Warn: func(rule, _, _, message string, location []parser.Range) {
				line := 0
				if len(location) > 0 {
					line = location[0].Start.Line
				}
				fmt.Printf("%s: line %d: %s: %s\n", target, line, rule, message)
			},
		})
		if err != nil {
			log.Fatal(err)
		}
	}
}
