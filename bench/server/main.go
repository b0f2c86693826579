// Command server is the server that `make bench` sends files to: it speaks both upload APIs and as much of S3 as rclone
// and s5cmd need, so that all clients are measured against one program.
//
// It checks every size and hash, and keeps nothing on the disk. Flags make it far (-delay), slow (-rate) or weak
// (-max-in-flight, -double-above). GET /stats returns the counters; POST /reset clears everything.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	listen      = flag.String("listen", "127.0.0.1:0", "`address` to listen on; the URL is printed")
	delay       = flag.Duration("delay", 0, "pause before each response: the round trip to a far server")
	rate        = flag.Int64("rate", 0, "`bytes` per second that all request bodies share; 0 means no limit")
	maxInFlight = flag.Int64("max-in-flight", 0, "answer 429 above this number of requests; 0 means never")
	doubleAbove = flag.Int64("double-above", 0, "double the delay for each request above this number; 0 means never")
)

// Counters are what the bench reads at /stats. Rejected are the responses with 429.
type Counters struct {
	Requests, Bytes, Files, Bad, Rejected, InFlight, MaxInFlight int64
	RejectedAfter5s, RequestsAfter5s                             int64
}

var (
	counters Counters
	first    int64 // when the first request since the last reset came, in ns since the epoch
	line     pacer
)

// pacer lets bytes through at the rate, for all requests together.
type pacer struct {
	sync.Mutex
	free time.Time
}

func (p *pacer) wait(bytes int) {
	p.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / float64(*rate) * float64(time.Second)))
	until := p.free
	p.Unlock()
	time.Sleep(time.Until(until))
}

// pacedBody counts the bytes of a request body and lets them in at the rate.
type pacedBody struct{ io.ReadCloser }

func (b pacedBody) Read(buffer []byte) (int, error) {
	if *rate > 0 && len(buffer) > 16<<10 {
		buffer = buffer[:16<<10]
	}
	n, err := b.ReadCloser.Read(buffer)
	if n > 0 && *rate > 0 {
		line.wait(n)
	}
	atomic.AddInt64(&counters.Bytes, int64(n))
	return n, err
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/stats":
		respond(w, http.StatusOK, counters)
		return
	case "/reset":
		images, tasks, objects = newTable[*upload](), newTable[*upload](), newTable[object]()
		counters = Counters{}
		atomic.StoreInt64(&first, 0)
		return
	}
	now := time.Now().UnixNano()
	atomic.CompareAndSwapInt64(&first, 0, now)
	settled := now-atomic.LoadInt64(&first) > int64(5*time.Second)
	running := atomic.AddInt64(&counters.InFlight, 1)
	defer atomic.AddInt64(&counters.InFlight, -1)
	for most := atomic.LoadInt64(&counters.MaxInFlight); running > most; most = atomic.LoadInt64(&counters.MaxInFlight) {
		if atomic.CompareAndSwapInt64(&counters.MaxInFlight, most, running) {
			break
		}
	}
	atomic.AddInt64(&counters.Requests, 1)
	if settled {
		atomic.AddInt64(&counters.RequestsAfter5s, 1)
	}
	r.Body = pacedBody{r.Body}
	if *maxInFlight > 0 && running > *maxInFlight {
		io.Copy(io.Discard, r.Body)
		atomic.AddInt64(&counters.Rejected, 1)
		if settled {
			atomic.AddInt64(&counters.RejectedAfter5s, 1)
		}
		respond(w, http.StatusTooManyRequests, map[string]string{"error": "too many requests"})
		return
	}
	pause := *delay
	if *doubleAbove > 0 {
		for extra := running - *doubleAbove; extra > 0 && extra < 8; extra-- {
			pause *= 2
		}
	}
	time.Sleep(pause)
	route(w, r)
}

func route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	tail := func(marker string) string { return path[strings.Index(path, marker)+len(marker):] }
	switch {
	case r.Method == "POST" && path == "/image":
		registerImage(w, r)
	case r.Method == "POST" && strings.HasPrefix(path, "/image/") && strings.HasSuffix(path, "/chunks"):
		addImageChunk(w, r, strings.TrimSuffix(tail("/image/"), "/chunks"))
	case r.Method == "POST" && strings.HasSuffix(path, "/upload/direct"):
		uploadDirectly(w, r)
	case r.Method == "POST" && strings.HasSuffix(path, "/upload/create"):
		createTask(w, r)
	case r.Method == "POST" && strings.Contains(path, "/upload/chunk/"):
		addChunk(w, r, tail("/upload/chunk/"))
	case r.Method == "POST" && strings.Contains(path, "/upload/complete/"):
		completeTask(w, tail("/upload/complete/"))
	case r.Method == "PUT":
		putObject(w, r)
	case r.Method == "HEAD":
		headObject(w, r)
	case strings.HasPrefix(path, "/image/") || strings.Contains(path, "/api/"):
		respond(w, http.StatusNotFound, map[string]string{"code": "404", "message": "not found"})
	default:
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")
	}
}

func main() {
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(serve), ConnState: func(connection net.Conn, state http.ConnState) {
		if state == http.StateNew && *rate > 0 { // the kernel's buffer must not take what the line would not
			connection.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
	}}
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}
