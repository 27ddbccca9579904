// Bytes as what a guest has written over the tables of its Linux: every reader ends, within memory,
// and touches no device. The first byte says as what the rest is taken.
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "guests/linux/module_file.h"
#include "guests/linux/os_data.h"
#include "guests/linux/tasks.h"
#include "guests/linux/testing/synthetic_kernel.h"

namespace {

using namespace ringside;
using namespace ringside::guests;
using guests::testing::SyntheticKernel;

// A kernel with processes, threads and modules, made once.
SyntheticKernel& guest() {
  static SyntheticKernel* const kernel = [] {
    auto* made = new SyntheticKernel(2);
    constexpr std::uint64_t kFirst = SyntheticKernel::kDirect + 0x700000;
    made->process(kFirst, 1, "init");
    made->process(kFirst + 0x200, 2, "kthreadd");
    made->thread(kFirst + 0x200, kFirst + 0x400, 3, "thread");
    made->poke(kFirst + 72, SyntheticKernel::kDirect + 0x680000);
    made->poke(kFirst + 88, SyntheticKernel::kDirect + 0x683000);
    made->module(kFirst + 0x1000, "one", 0, {{".text", 0xffffffffc0000000}});
    made->module(kFirst + 0x2000, "two", 1, {{".text", 0xffffffffc0008000}});
    made->symbols[SyntheticKernel::data(0x5000)] = "vmcoreinfo_data";
    made->symbols[SyntheticKernel::data(0x5008)] = "vmcoreinfo_size";
    made->poke(SyntheticKernel::data(0x5000), SyntheticKernel::data(0x6000));
    made->poke(SyntheticKernel::data(0x5008), std::uint64_t{0x100});
    made->build();
    return made;
  }();
  return *kernel;
}

void look() {
  hypervisor::Vm& vm = guest().vm;
  LinuxKernels kernels(vm);
  const auto kernel = kernels.now();
  if (kernel) {
    (void)(*kernel)->symbols().place_of(Gva{SyntheticKernel::kText + 0x12345});
    if (const auto list = list_tasks(vm, **kernel)) (void)describe_tasks(*list, 100);
    for (const std::uint32_t pid : {0u, 1u, 3u})
      (void)describe_task(vm, **kernel, pid);
    if (const auto test = test_for(*kernel, {{}, "init"})) (void)(*test)({1});
    if (const auto list = list_modules(**kernel)) {
      for (const Module& module : list->modules)
        (void)file_names(module.name);
    }
  }
  for (const char* kind : {"cpus", "modules", "processes"})
    (void)os_data(kernels, kind);
  if (!guest().vm.memory().mmio_log.empty()) std::abort();
}

// Pieces of three bytes of place, one of length, and as many bytes. Below 4 MiB the place is in the
// image, then in the rest of memory.
void write_over(std::span<const std::uint8_t> data) {
  hypervisor::testing::FakeMemory& memory = guest().vm.memory();
  std::vector<std::pair<Gpa, char>> before;
  while (data.size() > 4) {
    const std::uint32_t place = data[0] | data[1] << 8 | data[2] << 16;
    const std::size_t length = std::min<std::size_t>(data[3], data.size() - 4);
    for (std::size_t i = 0; i < length; ++i) {
      const Gpa where{(SyntheticKernel::kImage + place + i) & 0x7fffff};
      before.emplace_back(where, memory.peek<char>(where));
      memory.poke(where, static_cast<char>(data[4 + i]));
    }
    data = data.subspan(4 + length);
  }
  look();
  for (auto at = before.rbegin(); at != before.rend(); ++at)
    memory.poke(at->first, at->second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  const auto bytes = std::as_bytes(rest);
  switch (data[0] % 4) {
    case 0:
      write_over(rest);
      break;
    case 1: {
      const auto btf = Btf::parse({bytes.begin(), bytes.end()});
      if (!btf) break;
      for (const char* path : {"tasks", "thread.sp", "mem.base", "a.b.c"})
        for (const char* structure : {"task_struct", "module"})
          (void)btf->member(structure, path);
      break;
    }
    case 2: {
      const auto symbols = Kallsyms::find(bytes, Gva{SyntheticKernel::kText});
      if (symbols) (void)symbols->place_of(Gva{SyntheticKernel::kText + 0x100});
      break;
    }
    default: {
      const auto file = read_module_file(bytes);
      if (file) (void)place_sections(*file, {"m", Gva{1}, 2, 'L', {{".text", Gva{3}}}});
    }
  }
  return 0;
}
