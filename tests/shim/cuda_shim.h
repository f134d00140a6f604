// Lets g++ compile the CUDA sources and execute them on the CPU, for tests only.
//
// Every CUDA thread is a fiber with its own stack; blocks run one after another.  A fiber runs until it reaches a
// barrier or a shuffle.  What a device would leave undefined (a barrier that some threads never reach, a shuffle
// with an exited lane) stops the launch with a message.  Threads and blocks are visited in the order that
// set_order chose, so that code whose result depends on it is found out; shared memory is filled with NaN
// patterns before every block.
#pragma once
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SHIM_ASAN 1
#endif

#define GPUREFINE_SHIM 1
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#ifdef SHIM_ASAN
#define __shared__ static
#else
#define __shared__ static __attribute__((section("shim_shared")))
extern "C" char __start_shim_shared __attribute__((weak)), __stop_shim_shared __attribute__((weak));
#endif

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };
template <class T> struct shim_2 { T x, y; };
template <class T> struct shim_3 { T x, y, z; };
template <class T> struct shim_4 { T x, y, z, w; };
typedef shim_2<int> int2;
typedef shim_3<int> int3;
typedef shim_4<int> int4;
typedef shim_2<float> float2;
typedef shim_3<float> float3;
typedef shim_4<float> float4;
typedef shim_2<double> double2;
typedef shim_3<double> double3;
typedef shim_4<double> double4;
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline double3 make_double3(double x, double y, double z) { return {x, y, z}; }
inline double4 make_double4(double x, double y, double z, double w) { return {x, y, z, w}; }

#if defined(__x86_64__)
extern "C" void shim_jump(void** save, void* load);
asm(R"(
.text
.p2align 4
.type shim_jump,@function
shim_jump:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size shim_jump,.-shim_jump
)");
#endif

using std::isfinite;
using std::isinf;
using std::isnan;

namespace shim {

enum State { READY, AT_BLOCK, AT_WARP, DONE };
constexpr size_t STACK = 1 << 16;
constexpr unsigned WARP = 32;

struct Fiber {
#if defined(__x86_64__)
    void* sp = nullptr;
#else
    ucontext_t context;
#endif
    char* stack = nullptr;
    void* fake = nullptr;
    State state = DONE;
    unsigned mask = 0;      // lanes a warp barrier waits for
    unsigned shuffles = 0;  // parity picks one of two exchange buffers, so that one barrier a shuffle is enough
    bool parked = false;    // its loop waits for the next body
    uint3 index;
};

struct Machine {
    std::vector<Fiber> fibers;
    unsigned n = 0, current = 0, order = 0;
    uint3 block;
    dim3 block_dim, grid_dim;
    void (*body)(void*) = nullptr;
    void* arguments = nullptr;
    char* dynamic = nullptr;
    uint64_t exchange[2][1024];
    int votes[1024];
    char message[400];
    bool failed = false;
#if defined(__x86_64__)
    void* home = nullptr;
#else
    ucontext_t home;
#endif
    void* home_fake = nullptr;
    const void* home_stack = nullptr;
    size_t home_size = 0;
};
inline Machine machine;

inline void to_home(bool forever = false) {
    Fiber& f = machine.fibers[machine.current];
#ifdef SHIM_ASAN
    __sanitizer_start_switch_fiber(forever ? nullptr : &f.fake, machine.home_stack, machine.home_size);
#endif
#if defined(__x86_64__)
    shim_jump(&f.sp, machine.home);
#else
    swapcontext(&f.context, &machine.home);
#endif
#ifdef SHIM_ASAN
    __sanitizer_finish_switch_fiber(machine.fibers[machine.current].fake, &machine.home_stack, &machine.home_size);
#endif
}

inline void to_fiber(unsigned i) {
    machine.current = i;
    Fiber& f = machine.fibers[i];
#ifdef SHIM_ASAN
    __sanitizer_start_switch_fiber(&machine.home_fake, f.stack, STACK);
#endif
#if defined(__x86_64__)
    shim_jump(&machine.home, f.sp);
#else
    swapcontext(&machine.home, &f.context);
#endif
#ifdef SHIM_ASAN
    __sanitizer_finish_switch_fiber(machine.home_fake, nullptr, nullptr);
#endif
}

inline void loop() {
#ifdef SHIM_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &machine.home_stack, &machine.home_size);
#endif
    while (true) {
        machine.body(machine.arguments);
        Fiber& f = machine.fibers[machine.current];
        f.state = DONE;
        f.parked = true;
        to_home();
    }
}

inline void start(Fiber& f) {
    if (!f.stack) f.stack = static_cast<char*>(aligned_alloc(64, STACK));
    f.fake = nullptr;
#if defined(__x86_64__)
    void** top = reinterpret_cast<void**>(f.stack + STACK - 64);
    *--top = nullptr;  // a return address for loop(), which never returns; keeps the stack aligned as after a call
    *--top = reinterpret_cast<void*>(&loop);
    for (int k = 0; k < 6; ++k) *--top = nullptr;
    f.sp = top;
#else
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack;
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, loop, 0);
#endif
    f.parked = true;
}

inline void fail(const char* text, ...) {
    if (machine.failed) return;
    machine.failed = true;
    va_list list;
    va_start(list, text);
    vsnprintf(machine.message, sizeof machine.message, text, list);
    va_end(list);
}

inline unsigned visited(unsigned k, unsigned n) {
    if (machine.order == 0) return k;
    if (machine.order == 1) return n - 1 - k;
    return (k % 2 == 0) ? k / 2 : n - 1 - k / 2;  // from both ends inward
}

inline void wait(State state, unsigned mask = 0) {
    Fiber& f = machine.fibers[machine.current];
    f.state = state;
    f.mask = mask;
    to_home();
}

// One warp until all its lanes have ended or stand at the block's barrier.
inline void run_warp(unsigned first, unsigned count) {
    while (!machine.failed) {
        for (unsigned k = 0; k < count; ++k) {
            unsigned i = first + visited(k, count);
            if (machine.fibers[i].state == READY) {
                to_fiber(i);
            }
        }
        unsigned waiting = 0, wanted = 0;
        for (unsigned l = 0; l < count; ++l)
            if (machine.fibers[first + l].state == AT_WARP) {
                waiting |= 1u << l;
                wanted |= machine.fibers[first + l].mask;
            }
        if (!waiting) return;
        if (wanted & ~waiting) {
            // lanes named in the mask may still be on their way to this barrier only if they are READY; none is
            fail("lanes %08x wait for lanes %08x of their warp, which have ended or stand at a block barrier "
                 "(block %u %u %u, warp %u)", waiting, wanted & ~waiting, machine.block.x, machine.block.y,
                 machine.block.z, first / WARP);
            return;
        }
        for (unsigned l = 0; l < count; ++l)
            if (machine.fibers[first + l].state == AT_WARP) machine.fibers[first + l].state = READY;
    }
}

inline void run_block() {
    const unsigned n = machine.n, warps = (n + WARP - 1) / WARP;
    for (unsigned i = 0; i < n; ++i) {
        Fiber& f = machine.fibers[i];
        f.state = READY;
        f.shuffles = 0;
        if (!f.parked) start(f);
        f.parked = false;
        const dim3& d = machine.block_dim;
        f.index = {i % d.x, i / d.x % d.y, i / (d.x * d.y)};
    }
    while (!machine.failed) {
        for (unsigned k = 0; k < warps && !machine.failed; ++k) {
            unsigned w = visited(k, warps), first = w * WARP;
            run_warp(first, n - first < WARP ? n - first : WARP);
        }
        unsigned ended = 0, waiting = 0;
        for (unsigned i = 0; i < n; ++i) {
            ended += machine.fibers[i].state == DONE;
            waiting += machine.fibers[i].state == AT_BLOCK;
        }
        if (ended == n || machine.failed) return;
        if (ended && waiting) {
            fail("%u threads wait at __syncthreads() and %u have returned (block %u %u %u)", waiting, ended,
                 machine.block.x, machine.block.y, machine.block.z);
            return;
        }
        for (unsigned i = 0; i < n; ++i) machine.fibers[i].state = READY;
    }
}

// What is left of a failed launch cannot be resumed: its fibers begin anew.
inline void abandon() {
    for (Fiber& f : machine.fibers) {
        f.parked = false;
        f.state = DONE;
    }
}

inline const char* launch(const unsigned* size, size_t shared, void (*body)(void*), void* arguments) {
    machine.grid_dim = {size[0], size[1], size[2]};
    machine.block_dim = {size[3], size[4], size[5]};
    machine.n = size[3] * size[4] * size[5];
    machine.body = body;
    machine.arguments = arguments;
    machine.failed = false;
    if (machine.n == 0 || machine.n > 1024) return "a block must have 1 to 1024 threads";
    if (machine.fibers.size() < machine.n) machine.fibers.resize(machine.n);
    machine.dynamic = shared ? static_cast<char*>(aligned_alloc(64, (shared + 63) / 64 * 64)) : nullptr;
    const unsigned long total = static_cast<unsigned long>(size[0]) * size[1] * size[2];
    for (unsigned long k = 0; k < total && !machine.failed; ++k) {
        unsigned long b = machine.order == 1 ? total - 1 - k : k;
        machine.block = {unsigned(b % size[0]), unsigned(b / size[0] % size[1]), unsigned(b / size[0] / size[1])};
        if (shared) memset(machine.dynamic, 0xff, shared);
#ifndef SHIM_ASAN
        if (&__start_shim_shared) memset(&__start_shim_shared, 0xff, &__stop_shim_shared - &__start_shim_shared);
#endif
        run_block();
    }
    free(machine.dynamic);
    machine.dynamic = nullptr;
    if (!machine.failed) return nullptr;
    abandon();
    return machine.message;
}

inline unsigned lane() { return machine.current % WARP; }

template <class T> inline T exchanged(unsigned mask, T value, unsigned source) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    Fiber& f = machine.fibers[machine.current];
    const unsigned me = machine.current, buffer = f.shuffles++ & 1u;
    if (!(mask >> lane() & 1u)) fail("a shuffle's mask leaves out the lane that calls it");
    if (!(mask >> source & 1u)) fail("a shuffle reads from lane %u, which its mask leaves out", source);
    memcpy(&machine.exchange[buffer][me], &value, sizeof(T));
    wait(AT_WARP, mask);
    T out;
    memcpy(&out, &machine.exchange[buffer][me - lane() + source], sizeof(T));
    return out;
}

}  // namespace shim

#define threadIdx (shim::machine.fibers[shim::machine.current].index)
#define blockIdx (shim::machine.block)
#define blockDim (shim::machine.block_dim)
#define gridDim (shim::machine.grid_dim)
#define warpSize 32
#define SHIM_DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(shim::machine.dynamic)

inline void __syncthreads() { shim::wait(shim::AT_BLOCK); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { shim::wait(shim::AT_WARP, mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline int __syncthreads_or(int p) {
    shim::machine.votes[shim::machine.current] = p;
    __syncthreads();
    int any = 0;
    for (unsigned i = 0; i < shim::machine.n; ++i) any |= shim::machine.votes[i] != 0;
    __syncthreads();
    return any;
}
inline int __syncthreads_count(int p) {
    shim::machine.votes[shim::machine.current] = p;
    __syncthreads();
    int count = 0;
    for (unsigned i = 0; i < shim::machine.n; ++i) count += shim::machine.votes[i] != 0;
    __syncthreads();
    return count;
}
inline int __syncthreads_and(int p) { return __syncthreads_count(p) == int(shim::machine.n); }

template <class T> inline T __shfl_sync(unsigned m, T v, int from, int width = 32) {
    return shim::exchanged(m, v, (shim::lane() & ~unsigned(width - 1)) + (unsigned(from) & unsigned(width - 1)));
}
template <class T> inline T __shfl_down_sync(unsigned m, T v, unsigned by, int width = 32) {
    unsigned l = shim::lane(), at = l % unsigned(width) + by;
    return shim::exchanged(m, v, at < unsigned(width) ? l + by : l);
}
template <class T> inline T __shfl_up_sync(unsigned m, T v, unsigned by, int width = 32) {
    unsigned l = shim::lane();
    return shim::exchanged(m, v, l % unsigned(width) >= by ? l - by : l);
}
template <class T> inline T __shfl_xor_sync(unsigned m, T v, int by, int width = 32) {
    (void)width;
    return shim::exchanged(m, v, shim::lane() ^ unsigned(by));
}
inline unsigned __ballot_sync(unsigned mask, int p) {
    shim::Fiber& f = shim::machine.fibers[shim::machine.current];
    const unsigned me = shim::machine.current, buffer = f.shuffles++ & 1u, first = me - shim::lane();
    shim::machine.exchange[buffer][me] = p != 0;
    shim::wait(shim::AT_WARP, mask);
    unsigned out = 0;
    for (unsigned l = 0; l < 32 && first + l < shim::machine.n; ++l)
        if ((mask >> l & 1u) && shim::machine.exchange[buffer][first + l] == 1u) out |= 1u << l;
    return out;
}
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, p) == mask; }

// Atomics exist for the types CUDA has them for, and for no other.
template <class T> inline T shim_add(T* p, T v) { T old = *p; *p = T(old + v); return old; }
inline int atomicAdd(int* p, int v) { return int(shim_add(reinterpret_cast<unsigned*>(p), unsigned(v))); }
inline unsigned atomicAdd(unsigned* p, unsigned v) { return shim_add(p, v); }
inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long v) { return shim_add(p, v); }
inline float atomicAdd(float* p, float v) { return shim_add(p, v); }
inline double atomicAdd(double* p, double v) { return shim_add(p, v); }
#define SHIM_ATOMIC(T)                                                                        \
    inline T atomicMax(T* p, T v) { T old = *p; if (v > old) *p = v; return old; }            \
    inline T atomicMin(T* p, T v) { T old = *p; if (v < old) *p = v; return old; }            \
    inline T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; }                    \
    inline T atomicAnd(T* p, T v) { T old = *p; *p = old & v; return old; }                   \
    inline T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }                        \
    inline T atomicCAS(T* p, T c, T v) { T old = *p; if (old == c) *p = v; return old; }
SHIM_ATOMIC(int)
SHIM_ATOMIC(unsigned)
SHIM_ATOMIC(unsigned long long)

template <class T> inline T __ldg(const T* p) { return *p; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline int __float2int_rn(float x) { return int(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return int(std::floor(x)); }
inline int __float2int_ru(float x) { return int(std::ceil(x)); }
inline long long __float2ll_rn(float x) { return std::llrint(x); }
inline int __double2int_rn(double x) { return int(std::nearbyint(x)); }
inline long long __double2ll_rn(double x) { return std::llrint(x); }
template <class A, class B> inline A shim_bits(B b) { A a; static_assert(sizeof a == sizeof b, ""); memcpy(&a, &b, sizeof a); return a; }
inline float __int_as_float(int i) { return shim_bits<float>(i); }
inline int __float_as_int(float f) { return shim_bits<int>(f); }
inline float __uint_as_float(unsigned i) { return shim_bits<float>(i); }
inline unsigned __float_as_uint(float f) { return shim_bits<unsigned>(f); }
inline double __longlong_as_double(long long i) { return shim_bits<double>(i); }
inline long long __double_as_longlong(double f) { return shim_bits<long long>(f); }
inline void sincospi(double x, double* s, double* c) { sincos(M_PI * x, s, c); }
inline double sinpi(double x) { return std::sin(M_PI * x); }
inline double cospi(double x) { return std::cos(M_PI * x); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline long long min(long long a, long long b) { return a < b ? a : b; }
inline long long max(long long a, long long b) { return a > b ? a : b; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
