// Bytes as what a guest has written over the tables of its Linux: every reader ends, within memory,
// and touches no device. The first byte says as what the rest is taken, of a kernel of which width,
// and whether it has type information.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string_view>

#include "guests/linux/exported_symbols.h"
#include "guests/linux/module_file.h"
#include "guests/linux/os_data.h"
#include "guests/linux/tasks.h"
#include "guests/linux/testing/synthetic_kernel.h"

namespace {

using namespace ringside;
using namespace ringside::guests;
using guests::testing::SyntheticKernel;

// A kernel with processes, threads and modules, made once for each flavour.
SyntheticKernel& guest(guests::testing::KernelFlavour flavour) {
  static std::map<std::pair<Word, bool>, std::unique_ptr<SyntheticKernel>> kernels;
  std::unique_ptr<SyntheticKernel>& known = kernels[{flavour.word, flavour.has_types}];
  if (known) return *known;
  known = std::make_unique<SyntheticKernel>(2, flavour);
  SyntheticKernel& made = *known;
  const std::uint64_t first = made.direct + 0x700000;
  made.process(first, 1, "init");
  made.process(first + 0x200, 2, "kthreadd");
  made.thread(first + 0x200, first + 0x400, 3, "thread");
  made.module(first + 0x1000, "one", 0, {{".text", first + 0x1000}, {".data", first}});
  made.module(first + 0x2000, "two", 1, {{".text", first + 0x2000}});
  if (flavour.has_types) {
    made.symbols[made.data(0x5000)] = "vmcoreinfo_data";
    made.symbols[made.data(0x5008)] = "vmcoreinfo_size";
  }
  made.poke_word(made.data(0x5000), made.data(0x6000));
  made.poke_word(made.data(0x5008), 0x100);
  made.build();
  return made;
}

void look(SyntheticKernel& guest) {
  hypervisor::Vm& vm = guest.vm;
  LinuxKernels kernels(vm);
  const auto kernel = kernels.now();
  if (kernel) {
    (void)(*kernel)->symbols().place_of(Gva{guest.text + 0x12345});
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
  if (!guest.vm.memory().mmio_log.empty()) std::abort();
}

// Pieces of three bytes of place, one of length, and as many bytes. Below 4 MiB the place is in the
// image, then in the rest of memory.
void write_over(SyntheticKernel& guest, std::span<const std::uint8_t> data) {
  hypervisor::testing::FakeMemory& memory = guest.vm.memory();
  std::vector<std::pair<Gpa, char>> before;
  while (data.size() > 4) {
    const std::uint32_t place = data[0] | data[1] << 8 | data[2] << 16;
    const std::size_t length = std::min<std::size_t>(data[3], data.size() - 4);
    for (std::size_t i = 0; i < length; ++i) {
      const std::uint64_t at = (place + i) & 0x7fffff;
      const Gpa where{at < SyntheticKernel::kImageSize ? guest.image + at
                                                       : (SyntheticKernel::kImage + at) & 0x7fffff};
      before.emplace_back(where, memory.peek<char>(where));
      memory.poke(where, static_cast<char>(data[4 + i]));
    }
    data = data.subspan(4 + length);
  }
  look(guest);
  for (auto at = before.rbegin(); at != before.rend(); ++at)
    memory.poke(at->first, at->second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  const auto bytes = std::as_bytes(rest);
  const Word word = (data[0] & 4) != 0 ? Word::Bits32 : Word::Bits64;
  const bool is_wide = word == Word::Bits64;
  switch (data[0] % 4) {
    case 0:
      write_over(guest({word, (data[0] & 8) == 0}), rest);
      break;
    case 1: {
      const auto btf = Btf::parse({bytes.begin(), bytes.end()}, word);
      if (!btf) break;
      for (const char* path : {"tasks", "thread.sp", "mem.base", "a.b.c"})
        for (const char* structure : {"task_struct", "module"})
          (void)btf->member(structure, path);
      break;
    }
    case 2: {
      const Gva text{is_wide ? SyntheticKernel::kText : 0xc1000000};
      const auto symbols =
          Kallsyms::find(bytes, text, {word, is_wide ? kImageMap : Gva{0xc0000000}});
      if (symbols) (void)symbols->place_of(text + 0x100);
      (void)exported_symbols(bytes, text, word);
      break;
    }
    default: {
      const auto file = read_module_file(bytes);
      if (file) (void)place_sections(*file, {"m", Gva{1}, 2, 'L', {{".text", Gva{3}}}});
    }
  }
  return 0;
}
