// Tempo as one process, for the tests. Upstream's own main crashes when it is built by a Go newer than 1.20: package
// initialisation is sorted since then, gRPC's default codec comes last, and it does not know the gogo types. Hence this one.
package main

import (
	"flag"
	"log"
	"os"
	"reflect"
	"strings"

	gogoproto "github.com/gogo/protobuf/proto"
	"github.com/golang/protobuf/proto" //nolint:staticcheck // the interface that gRPC's own codec takes
	"github.com/grafana/tempo/cmd/tempo/app"
	tempolog "github.com/grafana/tempo/pkg/util/log"
	"google.golang.org/grpc/encoding"
	"gopkg.in/yaml.v2"
)

// gogoPackages are the origins of the messages that only the gogo codec can write.
var gogoPackages = []string{
	"github.com/grafana/tempo/",
	"github.com/jaegertracing/jaeger/",
	"go.opentelemetry.io/collector",
	"go.etcd.io/etcd/api/v3",
}

type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message interface{}) ([]byte, error) {
	if isGogo(message) {
		return gogoproto.Marshal(message.(gogoproto.Message))
	}
	return proto.Marshal(message.(proto.Message))
}

func (codec) Unmarshal(data []byte, message interface{}) error {
	if isGogo(message) {
		return gogoproto.Unmarshal(data, message.(gogoproto.Message))
	}
	return proto.Unmarshal(data, message.(proto.Message))
}

func isGogo(message interface{}) bool {
	origin := reflect.TypeOf(message)
	if origin.Kind() == reflect.Ptr {
		origin = origin.Elem()
	}
	for _, prefix := range gogoPackages {
		if strings.HasPrefix(origin.PkgPath()+"/", prefix) || strings.HasPrefix(origin.PkgPath(), prefix) {
			return true
		}
	}
	return false
}

func init() { encoding.RegisterCodec(codec{}) }

func main() {
	if len(os.Args) != 2 {
		log.Fatalf("usage: %s tempo.yaml", os.Args[0])
	}
	config := &app.Config{}
	config.RegisterFlagsAndApplyDefaults("", flag.CommandLine)
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, config); err != nil {
		log.Fatalf("%s: %v", os.Args[1], err)
	}
	// One process knows itself; a ring over the network would only be waited for.
	config.Ingester.LifecyclerConfig.RingConfig.KVStore.Store = "inmemory"
	config.Ingester.LifecyclerConfig.RingConfig.ReplicationFactor = 1
	config.Ingester.LifecyclerConfig.Addr = "127.0.0.1"
	config.Generator.Ring.KVStore.Store = "inmemory"
	config.Generator.Ring.InstanceAddr = "127.0.0.1"
	tempolog.InitLogger(&config.Server)
	tempo, err := app.New(*config)
	if err != nil {
		log.Fatal(err)
	}
	if err := tempo.Run(); err != nil {
		log.Fatal(err)
	}
}
