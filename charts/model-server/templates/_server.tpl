{{/* The server's pod, the same in an InferenceService and in a Deployment. */}}
{{- define "model-server.serverPod" -}}
serviceAccountName: {{ include "model-server.serviceAccountName" . }}
{{ include "model-server.pod" (list . "server") }}
{{- with .Values.resourceClaims }}
resourceClaims:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ eq .Values.mode "kserve" | ternary "kserve-container" "server" }}
    {{- include "model-server.container" (list . .Values) | nindent 4 }}
    {{- with .Values.args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- include "model-server.env" . | trim | nindent 6 }}
      {{- with .Values.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: 8080
        protocol: TCP
      {{- if .Values.grpc }}
      - name: grpc
        containerPort: 8081
        protocol: TCP
      {{- end }}
      - name: health
        containerPort: 8082
        protocol: TCP
    volumeMounts:
      {{- include "model-server.mounts" .Values | nindent 6 }}
      {{- with include "model-server.modelMount" . }}
      {{- nindent 6 . }}
      {{- end }}
volumes:
  {{- include "model-server.volumes" .Values | nindent 2 }}
  {{- with include "model-server.modelVolume" . }}
  {{- nindent 2 . }}
  {{- end }}
{{- end }}

{{- define "model-server.env" -}}
{{- $own := dict "models" "/models" "grpc" .Values.grpc "healthPort" 8082 }}
{{- $drain := dict "drainDelayS" .Values.shutdown.delaySeconds "drainTimeoutS" .Values.shutdown.drainSeconds }}
{{- include "model-server.variables" (list "MODEL_SERVER" (merge $own $drain .Values.settings)) }}
{{- with .Values.models.digests }}
{{- $pins := list }}
{{- range $name, $digest := . }}
{{- $pins = printf "%s=%s" $name $digest | append $pins }}
{{- end }}
- name: MODEL_SERVER_EXPECT_DIGEST
  value: {{ join "," $pins | quote }}
{{- end }}
{{- end }}

{{/* The volume and the mount of the models; none where those in the image are served. */}}
{{- define "model-server.modelVolume" -}}
{{- $source := .Values.models.volume }}
{{- with .Values.models.pvc.claimName }}
{{- $source = dict "persistentVolumeClaim" (dict "claimName" .) }}
{{- end }}
{{- with $source -}}
- {{ merge (dict "name" "models") . | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}

{{- define "model-server.modelMount" -}}
{{- with .Values.models }}
{{- if or .volume .pvc.claimName -}}
- name: models
  mountPath: /models
  readOnly: true
  {{- with .pvc.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
