package main

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// upload is an image or a task that is not complete. Its parts are hashed in order as far as they have come.
type upload struct {
	sync.Mutex
	name             string
	size, chunk      int64
	hashed, received int64
	sum              hash.Hash
	early            map[int64][]byte
	seen             map[int64]bool
}

// object is what S3 tells about a stored object.
type object struct {
	size int64
	etag string
}

// table is a map that many requests use at once.
type table[V any] struct {
	sync.RWMutex
	entries map[string]V
}

func newTable[V any]() *table[V] { return &table[V]{entries: map[string]V{}} }

func (t *table[V]) get(key string) (V, bool) {
	t.RLock()
	defer t.RUnlock()
	value, ok := t.entries[key]
	return value, ok
}

// put stores a value unless the key has one; it returns false then.
func (t *table[V]) put(key string, value V) bool {
	t.Lock()
	defer t.Unlock()
	_, known := t.entries[key]
	if !known {
		t.entries[key] = value
	}
	return !known
}

var (
	images, tasks, objects = newTable[*upload](), newTable[*upload](), newTable[object]()
	taskNumber             int64
)

func newUpload(name string, size, chunk int64) *upload {
	return &upload{name: name, size: size, chunk: chunk, sum: sha256.New(), early: map[int64][]byte{}, seen: map[int64]bool{}}
}

// add takes one part; it returns false if the upload has it, and whether the upload is complete now.
func (u *upload) add(index int64, data []byte) (added, complete bool) {
	u.Lock()
	defer u.Unlock()
	if u.seen[index] {
		return false, false
	}
	u.seen[index] = true
	u.early[index] = data
	u.received += int64(len(data))
	for part, ok := u.early[u.hashed]; ok; part, ok = u.early[u.hashed] {
		u.sum.Write(part)
		delete(u.early, u.hashed)
		u.hashed++
	}
	return true, u.received == u.size
}

// check counts a complete upload, as a good one if its hash is its name.
func (u *upload) check() {
	if hex.EncodeToString(u.sum.Sum(nil)) == u.name {
		atomic.AddInt64(&counters.Files, 1)
	} else {
		atomic.AddInt64(&counters.Bad, 1)
	}
}

func fail(w http.ResponseWriter, status int, message string) {
	atomic.AddInt64(&counters.Bad, 1)
	respond(w, status, map[string]string{"code": strconv.Itoa(status), "message": message})
}

// The image API.

func registerImage(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Sha256 string
		Size   int64
		Chunk  int64 `json:"chunk_size"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Chunk < 1 {
		fail(w, http.StatusBadRequest, "Malformed request")
		return
	}
	if !images.put(asked.Sha256, newUpload(asked.Sha256, asked.Size, asked.Chunk)) {
		respond(w, http.StatusConflict, map[string]string{"code": "409", "message": "Image already exists"})
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func addImageChunk(w http.ResponseWriter, r *http.Request, name string) {
	var chunk struct {
		ID   int64 `json:"id"`
		Size int
		Data string
	}
	body, _ := io.ReadAll(r.Body)
	if json.Unmarshal(body, &chunk) != nil || len(chunk.Data) != chunk.Size {
		fail(w, http.StatusBadRequest, "Malformed chunk")
		return
	}
	image, ok := images.get(name)
	if !ok {
		fail(w, http.StatusNotFound, "Image not found")
		return
	}
	added, complete := image.add(chunk.ID, []byte(chunk.Data))
	if !added {
		respond(w, http.StatusConflict, map[string]string{"code": "409", "message": "Chunk already exists"})
		return
	}
	if complete {
		image.check()
	}
	w.WriteHeader(http.StatusCreated)
}

// The multipart API.

func uploadDirectly(w http.ResponseWriter, r *http.Request) {
	reader, err := r.MultipartReader()
	if err != nil {
		fail(w, http.StatusBadRequest, "file is required")
		return
	}
	var expected, got string
	var size int64
	for part, err := reader.NextPart(); err == nil; part, err = reader.NextPart() {
		switch part.FormName() {
		case "file":
			sum := sha256.New()
			size, _ = io.Copy(sum, part)
			got = hex.EncodeToString(sum.Sum(nil))
		case "hash":
			text, _ := io.ReadAll(part)
			expected = string(text)
		}
	}
	if got == "" || (expected != "" && got != expected) {
		fail(w, http.StatusBadRequest, "hash mismatch")
		return
	}
	atomic.AddInt64(&counters.Files, 1)
	respond(w, http.StatusOK, map[string]any{"id": got[:16], "hash": got, "size": size})
}

func createTask(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Hash  string
		Size  int64 `json:"file_size"`
		Chunk int64 `json:"chunk_size"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Size < 1 {
		fail(w, http.StatusBadRequest, "file_size must be greater than zero")
		return
	}
	if asked.Chunk < 1 {
		asked.Chunk = 5 << 20
	}
	id := "t" + strconv.FormatInt(atomic.AddInt64(&taskNumber, 1), 36)
	tasks.put(id, newUpload(asked.Hash, asked.Size, asked.Chunk))
	count := (asked.Size + asked.Chunk - 1) / asked.Chunk
	respond(w, http.StatusOK, map[string]any{
		"file_exists": false, "task_id": id, "chunk_size": asked.Chunk, "chunks_count": count,
	})
}

func addChunk(w http.ResponseWriter, r *http.Request, tail string) {
	id, number, _ := strings.Cut(tail, "/")
	index, err := strconv.ParseInt(number, 10, 64)
	task, ok := tasks.get(id)
	if err != nil || !ok {
		fail(w, http.StatusNotFound, "upload task not found")
		return
	}
	data, err := formPart(r, "chunk")
	if err != nil {
		fail(w, http.StatusBadRequest, "chunk is required")
		return
	}
	task.add(index, data)
}

func formPart(r *http.Request, name string) ([]byte, error) {
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	var part *multipart.Part
	for part, err = reader.NextPart(); err == nil; part, err = reader.NextPart() {
		if part.FormName() == name {
			return io.ReadAll(part)
		}
	}
	return nil, err
}

func completeTask(w http.ResponseWriter, id string) {
	task, ok := tasks.get(id)
	if !ok || task.received != task.size {
		fail(w, http.StatusBadRequest, "upload is incomplete")
		return
	}
	task.check()
	respond(w, http.StatusOK, map[string]any{"id": id, "hash": task.name, "size": task.size})
}

// S3.

func putObject(w http.ResponseWriter, r *http.Request) {
	sum := md5.New()
	size, _ := io.Copy(sum, r.Body)
	etag := `"` + hex.EncodeToString(sum.Sum(nil)) + `"`
	objects.put(r.URL.Path, object{size: size, etag: etag})
	atomic.AddInt64(&counters.Files, 1)
	w.Header().Set("ETag", etag)
}

func headObject(w http.ResponseWriter, r *http.Request) {
	found, ok := objects.get(r.URL.Path)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(found.size, 10))
	w.Header().Set("ETag", found.etag)
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
}
