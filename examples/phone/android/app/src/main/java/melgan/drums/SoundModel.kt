package melgan.drums

import android.content.res.AssetManager
import java.nio.channels.FileChannel
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/** A sound model with classes: NAME.tflite and NAME.export_report.json among the assets. Not for several threads at once. */
class SoundModel(assets: AssetManager, name: String) {
    private val facts = JSONObject(assets.open("$name.export_report.json").bufferedReader().use { it.readText() })
        .getJSONObject("origin")
    private val interpreter = assets.openFd("$name.tflite").use { file ->
        val content = file.createInputStream().channel
            .map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        Interpreter(content, Interpreter.Options().setNumThreads(1))
    }
    val classes: List<String> = facts.getJSONArray("classes").let { names -> List(names.length(), names::getString) }
    val sampleRate: Int = facts.getInt("sample_rate")

    /** Sound `index` of a seed, of a class: samples from -1 to 1. The same on every device, but for rounding. */
    fun make(name: String, seed: Long, index: Long): FloatArray {
        val audio = arrayOf(FloatArray(interpreter.getOutputTensorFromSignature("audio", "sample").shape()[1]))
        val inputs: Map<String, Any> = mapOf("seed" to longArrayOf(seed), "index" to longArrayOf(index),
            "label" to intArrayOf(classes.indexOf(name)))
        interpreter.runSignature(inputs, mapOf("audio" to audio), "sample")
        return audio[0]
    }
}
