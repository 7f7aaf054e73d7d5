// Command fetch reads a blob of a registry as clients do that read parts of it.
//
//	fetch oras|containerd|stargz host/name@sha256:... size username
//
// The password is read from standard input. It prints one JSON object: the status and
// the Range of each request for the blob, the bytes of all their answers, and the
// SHA-256 of what was read, which depends on the client (see the functions).
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/containerd/stargz-snapshotter/cache"
	"github.com/containerd/stargz-snapshotter/fs/config"
	stargz "github.com/containerd/stargz-snapshotter/fs/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// job is what the command line asks for.
type job struct {
	host, name, username, password string
	blob                           ocispec.Descriptor
	counter                        *counter
}

type answer struct {
	Status int    `json:"status"`
	Range  string `json:"range"`
	Type   string `json:"type"`
}

// counter is a transport that counts the answers to requests for blobs.
type counter struct {
	mutex    sync.Mutex
	Requests []answer `json:"requests"`
	Bytes    int64    `json:"bytes"`
	Sha256   string   `json:"sha256"`
}

func (c *counter) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil || !strings.Contains(request.URL.Path, "/blobs/") || response.StatusCode == 401 {
		return response, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.Requests = append(c.Requests, answer{
		response.StatusCode, request.Header.Get("Range"), response.Header.Get("Content-Type"),
	})
	response.Body = &countedBody{response.Body, c}
	return response, nil
}

type countedBody struct {
	io.ReadCloser
	counter *counter
}

func (b *countedBody) Read(piece []byte) (int, error) {
	n, err := b.ReadCloser.Read(piece)
	b.counter.mutex.Lock()
	b.counter.Bytes += int64(n)
	b.counter.mutex.Unlock()
	return n, err
}

// withOras reads the blob once, seeks back to its start, and reads it again.
func withOras(j job) ([]byte, error) {
	repository, err := remote.NewRepository(j.host + "/" + j.name)
	if err != nil {
		return nil, err
	}
	repository.PlainHTTP = true
	repository.Client = &auth.Client{
		Client: &http.Client{Transport: j.counter},
		Credential: auth.StaticCredential(
			j.host, auth.Credential{Username: j.username, Password: j.password},
		),
	}
	body, err := repository.Blobs().Fetch(context.Background(), j.blob)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	seeker, ok := body.(io.ReadSeeker)
	if !ok {
		return nil, fmt.Errorf("the registry does not say Accept-Ranges")
	}
	first, err := io.ReadAll(seeker)
	if err != nil {
		return nil, err
	}
	if _, err := seeker.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	second, err := io.ReadAll(seeker)
	return append(first, second...), err
}

// withContainerd reads the blob in parallel pieces, as it does for large layers.
func withContainerd(j job) ([]byte, error) {
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: j.hosts()})
	resolver.(interface {
		SetOptions(options ...transfer.ImageResolverOption)
	}).SetOptions(
		transfer.WithConcurrentLayerFetchBuffer(64*1024),
		transfer.WithMaxConcurrentDownloads(4),
	)
	name := fmt.Sprintf("%s/%s@%s", j.host, j.name, j.blob.Digest)
	fetcher, err := resolver.Fetcher(context.Background(), name)
	if err != nil {
		return nil, err
	}
	body, err := fetcher.Fetch(context.Background(), j.blob)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// withStargz reads chunk 3, and then chunks 2 to 4, of 50,000 bytes each.
func withStargz(j job) ([]byte, error) {
	spec, err := reference.Parse(fmt.Sprintf("%s/%s@%s", j.host, j.name, j.blob.Digest))
	if err != nil {
		return nil, err
	}
	settings := config.BlobConfig{ChunkSize: 50_000, CheckAlways: true}
	blob, err := stargz.NewResolver(settings, nil).Resolve(
		context.Background(), sourceHosts(j), spec, j.blob, cache.NewMemoryCache(),
	)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	if _, err := blob.ReadAt(make([]byte, 50_000), 150_000); err != nil {
		return nil, err
	}
	read := make([]byte, 150_000)
	_, err = blob.ReadAt(read, 100_000)
	return read, err
}

func sourceHosts(j job) func(reference.Spec) ([]docker.RegistryHost, error) {
	hosts := j.hosts()
	return func(reference.Spec) ([]docker.RegistryHost, error) { return hosts(j.host) }
}

func (j job) hosts() docker.RegistryHosts {
	client := &http.Client{Transport: j.counter}
	return docker.ConfigureDefaultRegistries(
		docker.WithPlainHTTP(docker.MatchAllHosts),
		docker.WithClient(client),
		docker.WithAuthorizer(docker.NewDockerAuthorizer(
			docker.WithAuthClient(client),
			docker.WithAuthCreds(func(string) (string, string, error) {
				return j.username, j.password, nil
			}),
		)),
	)
}

func main() {
	log.SetFlags(0)
	clients := map[string]func(job) ([]byte, error){
		"oras": withOras, "containerd": withContainerd, "stargz": withStargz,
	}
	if len(os.Args) != 5 || clients[os.Args[1]] == nil {
		log.Fatal("usage: fetch oras|containerd|stargz host/name@digest size username")
	}
	name, found, _ := strings.Cut(os.Args[2], "@")
	host, name, _ := strings.Cut(name, "/")
	size, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	password, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	result := &counter{}
	read, err := clients[os.Args[1]](job{
		host: host, name: name, username: os.Args[4], password: string(password),
		blob: ocispec.Descriptor{
			MediaType: "application/octet-stream",
			Digest:    digest.Digest(found),
			Size:      size,
		},
		counter: result,
	})
	if err != nil {
		log.Fatal(err)
	}
	sum := sha256.Sum256(read)
	result.Sha256 = hex.EncodeToString(sum[:])
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}
